package kube

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestTokens(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]string{} // token to cluster
	verify := func(_ context.Context, token, cluster string) (string, string, []string, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[token] = cluster
		switch token {
		case "k8s-aws-v1.good":
			return "arn:aws:iam::111122223333:user/dev", "aws-iam-authenticator:111122223333:AIDA", []string{"viewers"}, nil
		case "k8s-aws-v1.root":
			return "arn:aws:iam::111122223333:root", "", []string{"system:masters"}, nil
		}
		return "", "", nil, errors.New("token is expired")
	}
	hook := httptest.NewServer(TokenReview(verify))
	defer hook.Close()
	const issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
	c := start(t, Options{Cluster: "tokens", Version: "1.36", AuthURL: hook.URL + "/authenticate/us-east-1/tokens", Issuer: issuer})

	list := func(token string) error {
		client, err := kubernetes.NewForConfig(&rest.Config{
			Host: c.Endpoint(), BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA()},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := list("k8s-aws-v1.root"); err != nil {
		t.Errorf("a member of system:masters: %v", err)
	}
	if err := list("k8s-aws-v1.good"); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "user/dev") {
		t.Errorf("one without rights: %v", err)
	}
	if err := list("k8s-aws-v1.late"); !apierrors.IsUnauthorized(err) {
		t.Errorf("a refused token: %v", err)
	}
	askedFor := func(token string) string {
		mu.Lock()
		defer mu.Unlock()
		return asked[token]
	}
	if got := askedFor("k8s-aws-v1.good"); got != "tokens" {
		t.Errorf("verify was asked for cluster %q", got)
	}

	var own *authenticationv1.TokenRequest
	eventually(t, "service account", func() (err error) {
		own, err = c.Client().CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		return err
	})
	if err := list(own.Status.Token); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "system:serviceaccount:default:default") {
		t.Errorf("a service account: %v", err)
	}
	if askedFor(own.Status.Token) != "" {
		t.Error("a service account's token went to the webhook")
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(own.Status.Token, ".")[1])
	if err != nil || !strings.Contains(string(claims), issuer) {
		t.Errorf("claims %s, %v", claims, err)
	}
}

func TestTokenReviewRefusesNonsense(t *testing.T) {
	handler := TokenReview(func(context.Context, string, string) (string, string, []string, error) {
		t.Error("verify was asked")
		return "", "", nil, nil
	})
	tests := map[string]struct {
		method, body string
		want         int
	}{
		"method":  {"GET", "", 405},
		"body":    {"POST", "token", 400},
		"kind":    {"POST", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"token":"x"}}`, 400},
		"version": {"POST", `{"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview","spec":{"token":"x"}}`, 400},
		"token":   {"POST", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{}}`, 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(tt.method, "/x", strings.NewReader(tt.body)))
			if w.Code != tt.want {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, tt.want)
			}
		})
	}
}
