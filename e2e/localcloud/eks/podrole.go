package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"
	authv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// PodIdentityPath is where [Service.PodIdentity] is to be mounted below BaseURL.
	// The region and the name of the cluster follow it.
	PodIdentityPath = "/_localcloud/eks/pod-identity/"
	// podIdentityAgent is the add-on that hands a pod its role's keys.
	podIdentityAgent = "eks-pod-identity-agent"
	// podIdentityAudience is what a token must be for that the agent takes
	// (https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html).
	podIdentityAudience = "pods.eks.amazonaws.com"
	// podIdentityLasts is how long the agent's keys are good for.
	podIdentityLasts = 6 * time.Hour
)

// podConfig is how the pods of a service account on a node call AWS: as the role
// of their pod identity association if the agent is there to hand it out, else as
// the node's role.
func (s *Service) podConfig(c *cluster, namespace, account, node string) (aws.Config, error) {
	role := s.associatedRole(c, namespace, account)
	if role == "" {
		role = s.nodeRole(c, node)
	}
	return s.roleConfig(c, role, account)
}

func (s *Service) roleConfig(c *cluster, role, workload string) (aws.Config, error) {
	if _, ok := s.opts.IAM.Role(role); !ok {
		return aws.Config{}, errNoCredentials
	}
	session := fmt.Sprintf("eks-%.20s-%.10s-%s", c.key.name, workload, uuid.NewSHA1(uuid.Nil, []byte(c.key.region+c.key.name)))
	return s.opts.RoleConfig(c.key.region, role, session)
}

// associatedRole is the role of a service account's pod identity association, empty
// without one or without the agent.
func (s *Service) associatedRole(c *cluster, namespace, account string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.addons[podIdentityAgent] == nil {
		return ""
	}
	for _, a := range c.associations {
		if *a.Namespace == namespace && *a.ServiceAccount == account {
			return *a.RoleArn
		}
	}
	return ""
}

// nodeRole is the role of a node, empty if there is no such node.
func (s *Service) nodeRole(c *cluster, node string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for instance, name := range c.nodes {
		if name != node {
			continue
		}
		for _, n := range c.nodegroups {
			if n.joined[instance] {
				return *n.data.NodeRole
			}
		}
		if role, ok := s.opts.IAM.Role(c.guests[instance]); ok {
			return role.ARN
		}
	}
	return ""
}

// PodIdentity stands for the agents of all clusters' nodes: with a token of its
// service account a program gets the keys of the associated role, as in a pod
// whose AWS_CONTAINER_CREDENTIALS_FULL_URI names the agent.
func (s *Service) PodIdentity() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		region, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, PodIdentityPath), "/")
		reply, err := s.podCredentials(r.Context(), clusterKey{region, name}, r.Header.Get("Authorization"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(reply) //nolint:errcheck // the client is gone
	})
}

// podCredentials are the keys for the holder of a token, as the SDKs read them
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).
func (s *Service) podCredentials(ctx context.Context, key clusterKey, token string) (map[string]string, error) {
	s.mu.Lock()
	c, err := s.active(key.region, &key.name)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	kubernetes := c.plane.Client()
	s.mu.Unlock()
	review, err := kubernetes.AuthenticationV1().TokenReviews().Create(ctx, &authv1.TokenReview{
		Spec: authv1.TokenReviewSpec{Token: token, Audiences: []string{podIdentityAudience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	account, ok := strings.CutPrefix(review.Status.User.Username, "system:serviceaccount:")
	if !review.Status.Authenticated || !ok {
		return nil, fmt.Errorf("the token is no service account's for %s: %s", podIdentityAudience, review.Status.Error)
	}
	namespace, account, _ := strings.Cut(account, ":")
	role := s.associatedRole(c, namespace, account)
	if role == "" {
		return nil, fmt.Errorf("no pod identity association of service account %s/%s, or no %s", namespace, account, podIdentityAgent)
	}
	cfg, err := s.roleConfig(c, role, account)
	if err != nil {
		return nil, err
	}
	keys, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"AccessKeyId": keys.AccessKeyID, "SecretAccessKey": keys.SecretAccessKey, "Token": keys.SessionToken, "RoleArn": role,
		"Expiration": time.Now().Add(podIdentityLasts).UTC().Format(time.RFC3339),
	}, nil
}
