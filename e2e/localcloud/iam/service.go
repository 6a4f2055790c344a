// Package iam plays AWS Identity and Access Management: roles and their
// policies, instance profiles, service-linked roles and OIDC providers.
//
// IAM is global, so the state is one for all regions. Codes and words of errors
// are AWS's (API reference of IAM, "Errors" of each action).
package iam

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/wire"
)

// account is the account that everything belongs to.
const account = wire.AccountID

// Service is IAM of the one account.
type Service struct {
	clock *clock.Clock

	mu        sync.Mutex
	late      float64              // how many times longer propagation takes
	roles     map[string]*role     // by name
	policies  map[string]*policy   // customer managed ones, by ARN
	profiles  map[string]*profile  // by name
	providers map[string]*provider // OIDC providers by ARN
	deletions map[string]string    // status of service-linked role deletions by task id
}

// New returns an account without any role; AWS's managed policies exist.
func New(c *clock.Clock) *Service {
	return &Service{
		clock:     c,
		late:      1,
		roles:     map[string]*role{},
		policies:  map[string]*policy{},
		profiles:  map[string]*profile{},
		providers: map[string]*provider{},
		deletions: map[string]string{},
	}
}

// api has the operations as methods, apart from the Go methods of [Service]
// that other services call.
type api struct{ *Service }

// Register adds IAM's operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("iam", "iam", goFiles)
	a := api{s}
	registerRoles(w, a)
	registerPolicies(w, a)
	registerProfiles(w, a)
	registerProviders(w, a)
	handle(w, a.CreateServiceLinkedRole)
	handle(w, a.DeleteServiceLinkedRole)
	handle(w, a.GetServiceLinkedRoleDeletionStatus)
	handle(w, a.SimulatePrincipalPolicy)
}

func handle[I, O any](w *wire.Server, f func(context.Context, *I) (*O, error)) {
	wire.Handle(w, "iam", f)
}

// Inventory lists what the account holds, sorted, as "iam/type ARN name". Service-
// linked roles that services made for themselves are not listed.
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, r := range s.roles {
		if r.unasked {
			continue
		}
		list = append(list, fmt.Sprintf("iam/role %s %s", r.arn(), r.name))
	}
	for _, p := range s.policies {
		list = append(list, fmt.Sprintf("iam/policy %s %s", p.arn(), p.name))
	}
	for _, p := range s.profiles {
		list = append(list, fmt.Sprintf("iam/instance-profile %s %s", p.arn(), p.name))
	}
	for arn, p := range s.providers {
		list = append(list, fmt.Sprintf("iam/oidc-provider %s %s", arn, p.url))
	}
	sort.Strings(list)
	return list
}

// uniqueID returns an id as IAM's: a prefix that tells the kind, and 17 more
// capital letters and digits (IAM User Guide, "Unique identifiers").
func uniqueID(prefix string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b := make([]byte, 17)
	rand.Read(b)
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return prefix + string(b)
}

// encode writes a policy document as the Get actions return it: URL-encoded as
// RFC 3986 says, so a blank is %20.
func encode(document string) *string {
	return aws.String(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}

func pathOf(p *string) string {
	if p == nil || *p == "" {
		return "/"
	}
	return *p
}

// now is in whole seconds, as IAM's dates are.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func tagMap(tags []types.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m
}

func tagList(m map[string]string) []types.Tag {
	list := make([]types.Tag, 0, len(m))
	for _, k := range sortedKeys(m) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return list
}

// checkTags refuses what the model's patterns cannot: keys that differ only in
// case are one key to IAM, and no more than 50 tags fit a resource.
func checkTags(tags []types.Tag, have map[string]string) error {
	seen := map[string]bool{}
	for _, t := range tags {
		k := strings.ToLower(aws.ToString(t.Key))
		if seen[k] {
			return invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if strings.HasPrefix(k, "aws:") {
			return invalidInput("One or more of the requested tags are prefixed with aws: , which is reserved for AWS use.")
		}
		seen[k] = true
	}
	total := len(have)
	for _, t := range tags {
		if _, ok := have[aws.ToString(t.Key)]; !ok {
			total++
		}
	}
	if total > 50 {
		return &types.LimitExceededException{Message: aws.String("The number of tags has reached the maximum limit.")}
	}
	return nil
}
