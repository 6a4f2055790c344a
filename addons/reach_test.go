package addons

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"aicluster/provision/cloud"
)

func TestWaitReachableOutlivesAYoungCluster(t *testing.T) {
	client := fake.NewClientset()
	answers := []error{&url.Error{Op: "Get", URL: "https://x", Err: errors.New("no such host")}, apierrors.NewUnauthorized("Unauthorized")}
	client.PrependReactor("list", "namespaces", func(k8stesting.Action) (bool, runtime.Object, error) {
		if len(answers) == 0 {
			return false, nil, nil
		}
		err := answers[0]
		answers = answers[1:]
		return true, nil, err
	})
	if err := waitReachable(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if len(answers) > 0 {
		t.Errorf("%d answers left", len(answers))
	}
}

func TestUnreachableSaysWhatToDo(t *testing.T) {
	for want, err := range map[string]error{
		"cluster.admins":   apierrors.NewUnauthorized("Unauthorized"),
		"cluster.endpoint": &url.Error{Op: "Get", URL: "https://x", Err: errors.New("no such host")},
	} {
		var e *cloud.Error
		if !errors.As(unreachable("addon/x", "looking", err), &e) || !strings.Contains(e.Hint, want) || !strings.Contains(e.Message, "the cluster's API server") {
			t.Errorf("%s: %+v", want, e)
		}
	}
	refused := &url.Error{Op: "Get", URL: "https://x", Err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}
	var e *cloud.Error
	if !errors.As(unreachable("addon/x", "looking", refused), &e) || !strings.Contains(e.Hint, "cluster.endpoint") || strings.Contains(e.Hint, "AWS_ENDPOINT_URL") {
		t.Errorf("a connection that is refused: %+v", e)
	}
	expired := cloud.Fail("credentials", "signing", "expired", "log in")
	if !errors.As(unreachable("addon/x", "looking", &url.Error{Op: "Get", Err: expired}), &e) || e.Hint != "log in" {
		t.Errorf("credentials that have expired: %+v", e)
	}
	if unreachable("addon/x", "looking", nil) != nil {
		t.Error("an error out of nothing")
	}
}
