package cloud

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// EKS accepts, as a bearer token, a presigned STS GetCallerIdentity request
// that names the cluster in a signed header. The API server refuses one older
// than 15 minutes; clients take a minute off (aws-iam-authenticator, README
// "API Authorization from Outside a Cluster").
const (
	tokenPrefix   = "k8s-aws-v1."
	clusterHeader = "x-k8s-aws-id"
	tokenLifetime = 14 * time.Minute
	presignExpiry = "60" // seconds; what the AWS CLI sends
)

// Token is a bearer token for a cluster's API server. Value is a secret.
type Token struct {
	Value   string
	Expires time.Time
}

// Token makes a bearer token for the named cluster from the caller's
// credentials, without a call to AWS.
func (c *Clients) Token(ctx context.Context, cluster string) (Token, error) {
	presigner := sts.NewPresignClient(c.STS, func(o *sts.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, func(o *sts.Options) {
			o.APIOptions = append(o.APIOptions,
				smithyhttp.SetHeaderValue(clusterHeader, cluster),
				smithyhttp.SetHeaderValue("X-Amz-Expires", presignExpiry))
		})
	})
	req, err := presigner.PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Token{}, Wrap("credentials", "signing a cluster token", err)
	}
	return Token{
		Value:   tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(req.URL)),
		Expires: time.Now().Add(tokenLifetime),
	}, nil
}

// TokenTransport returns a wrapper for a Kubernetes transport: it adds a fresh
// token to each request and counts the request.
func (c *Clients) TokenTransport(cluster string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return &tokenTransport{clients: c, cluster: cluster, next: next}
	}
}

type tokenTransport struct {
	clients *Clients
	cluster string
	next    http.RoundTripper

	mu    sync.Mutex
	token Token
}

func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.fresh(req.Context())
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token)
	t.clients.calls.Count(mutatingRequest(req))
	return t.next.RoundTrip(req)
}

// mutatingRequest tells whether a Kubernetes request changes anything. Reviews
// are created but stored nowhere.
func mutatingRequest(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	return req.URL.Query().Get("dryRun") == ""
}

func (t *tokenTransport) fresh(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Until(t.token.Expires) < time.Minute {
		token, err := t.clients.Token(ctx, t.cluster)
		if err != nil {
			return "", fmt.Errorf("a token for cluster %s: %w", t.cluster, err)
		}
		t.token = token
	}
	return t.token.Value, nil
}
