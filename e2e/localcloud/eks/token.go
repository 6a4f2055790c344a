package eks

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/wire"
)

// WebhookPath is where [Service.Webhook] is to be mounted below BaseURL. The
// region and the name of the cluster follow it.
const WebhookPath = "/_localcloud/eks/authenticate/"

// tokenPrefix marks a bearer token that holds a presigned request
// (https://github.com/kubernetes-sigs/aws-iam-authenticator, "API authorization from outside a cluster").
const tokenPrefix = "k8s-aws-v1."

// maxTokenAge is how long a token may be presented after it was signed.
const maxTokenAge = 15 * time.Minute

func (s *Service) webhookURL(key clusterKey) string {
	return strings.TrimSuffix(s.opts.BaseURL, "/") + WebhookPath + url.PathEscape(key.region) + "/" + url.PathEscape(key.name)
}

// Webhook answers the TokenReviews of all clusters' API servers.
func (s *Service) Webhook() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		region, name, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, WebhookPath), "/")
		if !ok || name == "" {
			http.NotFound(w, r)
			return
		}
		kube.TokenReview(func(ctx context.Context, token, cluster string) (string, string, []string, error) {
			return s.verify(ctx, clusterKey{region, cluster}, token)
		}).ServeHTTP(w, r)
	})
}

// verify says who the holder of a token is: it makes the presigned request with
// the cluster's name in the signed header, so that STS tells who signed it.
func (s *Service) verify(ctx context.Context, key clusterKey, token string) (user, uid string, groups []string, err error) {
	u, err := s.presigned(token)
	if err != nil {
		return "", "", nil, err
	}
	caller, err := callerIdentity(ctx, u, key.name)
	if err != nil {
		return "", "", nil, err
	}
	return s.identify(key, caller)
}

// presigned takes the request out of a token and refuses any that is not a
// fresh GetCallerIdentity of the local cloud's own STS.
func (s *Service) presigned(token string) (*url.URL, error) {
	encoded, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return nil, fmt.Errorf("token is missing expected %q prefix", tokenPrefix)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	own, err := url.Parse(s.opts.BaseURL)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	switch {
	case u.Scheme != own.Scheme || u.Host != own.Host:
		return nil, fmt.Errorf("unexpected hostname %q in pre-signed URL", u.Host)
	case u.Path != "/" && u.Path != "":
		return nil, errors.New("unexpected path in pre-signed URL")
	case q.Get("Action") != "GetCallerIdentity":
		return nil, errors.New("unexpected action parameter in pre-signed URL")
	case !hasSigned(q.Get("X-Amz-SignedHeaders"), "x-k8s-aws-id"):
		return nil, errors.New("client did not sign the x-k8s-aws-id header in the pre-signed URL")
	}
	signed, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	if err != nil {
		return nil, fmt.Errorf("error parsing X-Amz-Date parameter in pre-signed URL: %w", err)
	}
	if seconds, err := strconv.Atoi(q.Get("X-Amz-Expires")); err != nil || seconds < 0 || seconds > 900 {
		return nil, fmt.Errorf("invalid X-Amz-Expires parameter in pre-signed URL: %s", q.Get("X-Amz-Expires"))
	}
	if age := time.Since(signed); age > maxTokenAge {
		return nil, fmt.Errorf("X-Amz-Date parameter is expired (%.f minute expiration) %s", maxTokenAge.Minutes(), signed)
	}
	return u, nil
}

func hasSigned(list, header string) bool {
	for h := range strings.SplitSeq(list, ";") {
		if strings.EqualFold(h, header) {
			return true
		}
	}
	return false
}

// identity is the answer of GetCallerIdentity.
type identity struct {
	ARN    string `xml:"GetCallerIdentityResult>Arn"`
	UserID string `xml:"GetCallerIdentityResult>UserId"`
}

func callerIdentity(ctx context.Context, u *url.URL, cluster string) (identity, error) {
	var id identity
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return id, err
	}
	req.Header.Set("x-k8s-aws-id", cluster)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return id, fmt.Errorf("error during GET: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return id, err
	}
	if res.StatusCode != http.StatusOK {
		return id, fmt.Errorf("error from AWS (expected 200, got %d). Body: %s", res.StatusCode, body)
	}
	if err := xml.Unmarshal(body, &id); err != nil {
		return id, err
	}
	if id.ARN == "" {
		return id, errors.New("arn missing in the reply of GetCallerIdentity")
	}
	return id, nil
}

// identify maps an AWS caller to a Kubernetes user by the access entries.
func (s *Service) identify(key clusterKey, caller identity) (user, uid string, groups []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[key]
	if c == nil {
		return "", "", nil, noCluster(key.name)
	}
	canonical := principal(caller.ARN)
	uid = "aws-iam-authenticator:" + wire.AccountID + ":" + strings.SplitN(caller.UserID, ":", 2)[0]
	config := c.data.AccessConfig
	if config.AuthenticationMode != types.AuthenticationModeApi && canonical == c.creator && *config.BootstrapClusterCreatorAdminPermissions {
		return "kubernetes-admin", uid, []string{"system:masters"}, nil
	}
	delay := s.clock.Duration(clock.AccessPropagation)
	e := c.entries[canonical]
	if e == nil || config.AuthenticationMode == types.AuthenticationModeConfigMap || !effective(e.CreatedAt, delay) {
		return "", "", nil, fmt.Errorf("ARN is not mapped: %s", strings.ToLower(canonical))
	}
	groups = append(groups, e.KubernetesGroups...)
	for _, p := range e.policies {
		if !effective(p.ModifiedAt, delay) {
			continue
		}
		role := accessPolicies()[strings.TrimPrefix(*p.PolicyArn, policyPrefix)]
		switch {
		case role != "":
			groups = append(groups, policyGroups(role, p.AccessScope)...)
		case p.AccessScope.Type == types.AccessScopeTypeCluster:
			// EKS has an authorizer of its own for its policies; the group gives the same rights.
			groups = append(groups, "system:masters")
		default:
			groups = append(groups, policyGroups("cluster-admin", p.AccessScope)...)
		}
	}
	session := caller.ARN[strings.LastIndexByte(caller.ARN, '/')+1:]
	return strings.NewReplacer("{{SessionName}}", session, "{{SessionNameRaw}}", session, "{{AccountID}}", wire.AccountID).Replace(*e.Username), uid, groups, nil
}
