package eks_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekssdk "github.com/aws/aws-sdk-go-v2/service/eks"
	authv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/e2e/localcloud/eks"
)

// checkPodIdentity: the keys of a role are for the holder of a token of the service
// account that it is associated with, made for EKS Pod Identity, where the agent is.
func (a *account) checkPodIdentity(t *testing.T, client kubernetes.Interface) {
	ctx, name := t.Context(), aws.String("life")
	token := func(account string, audiences ...string) string {
		r := must(client.CoreV1().ServiceAccounts("kube-system").CreateToken(ctx, account, &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{}))(t)
		return r.Status.Token
	}
	keys := func(cluster, token string) (int, string) {
		r := must(http.NewRequestWithContext(ctx, http.MethodGet, a.url+eks.PodIdentityPath+region+"/"+cluster, nil))(t)
		r.Header.Set("Authorization", token)
		reply := must(http.DefaultClient.Do(r))(t)
		defer reply.Body.Close()
		return reply.StatusCode, string(must(io.ReadAll(reply.Body))(t))
	}
	const audience = "pods.eks.amazonaws.com"
	a.role("pods", audience)
	ours := token("aws-node", audience)
	refused := func(what, cluster, token, words string) {
		t.Helper()
		if status, body := keys(cluster, token); status != http.StatusForbidden || !strings.Contains(body, words) {
			t.Errorf("%s: got %d %s, want %s", what, status, body, words)
		}
	}
	must(a.eks.CreatePodIdentityAssociation(ctx, &ekssdk.CreatePodIdentityAssociationInput{
		ClusterName: name, Namespace: aws.String("kube-system"), ServiceAccount: aws.String("aws-node"), RoleArn: aws.String(a.roles["pods"]),
	}))(t)
	refused("without the agent", "life", ours, "or no eks-pod-identity-agent")
	must(a.eks.CreateAddon(ctx, &ekssdk.CreateAddonInput{ClusterName: name, AddonName: aws.String("eks-pod-identity-agent")}))(t)
	refused("another service account", "life", token("kube-proxy", audience), "no pod identity association of service account kube-system/kube-proxy")
	refused("a token for the API server", "life", token("aws-node"), "no service account's for "+audience)
	refused("no token", "life", "nonsense", "no service account's for "+audience)
	refused("another cluster", "other", ours, "No cluster found for name: other.")

	status, body := keys("life", ours)
	var reply struct{ AccessKeyID, SecretAccessKey, RoleArn, Expiration string }
	if err := json.Unmarshal([]byte(body), &reply); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	until, err := time.Parse(time.RFC3339, reply.Expiration)
	if reply.AccessKeyID != "key of "+a.roles["pods"] || reply.SecretAccessKey == "" || reply.RoleArn != a.roles["pods"] || err != nil || time.Until(until) < 5*time.Hour {
		t.Errorf("%+v", reply)
	}
}
