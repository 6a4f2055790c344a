// Package elbv2 plays Elastic Load Balancing: network and application load
// balancers with their listeners and target groups. Each holds interfaces in its
// subnets, which go only some time after the load balancer itself.
package elbv2

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/later"
	"aicluster/e2e/localcloud/wire"
)

// Service is Elastic Load Balancing of all regions.
type Service struct {
	clock *clock.Clock
	ec2   *ec2.Service
	iam   *iam.Service
	later later.Queue
	reach Reach

	// mu guards all below. EC2 may be called with it held: it does not call back.
	mu        sync.Mutex
	balancers map[string]*balancer // by ARN, as all others
	listeners map[string]*listener
	groups    map[string]*targetGroup
	tags      map[string]map[string]string
}

// New returns a service without load balancers.
func New(c *clock.Clock, e *ec2.Service, i *iam.Service) *Service {
	return &Service{
		clock: c, ec2: e, iam: i, balancers: map[string]*balancer{}, listeners: map[string]*listener{},
		groups: map[string]*targetGroup{}, tags: map[string]map[string]string{},
	}
}

// Close stops what is under way.
func (s *Service) Close() { s.later.Close() }

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("elbv2", "elasticloadbalancingv2", goFiles)
	registerBalancers(w, s)
	registerTargets(w, s)
	registerListeners(w, s)
	registerAttributes(w, s)
	handle(w, s.addTags)
	handle(w, s.removeTags)
	handle(w, s.describeTags)
}

func handle[I, O any](w *wire.Server, f func(context.Context, *I) (*O, error)) {
	wire.Handle(w, "elbv2", f)
}

// Inventory lists load balancers and target groups, sorted, as "elbv2/type ARN name".
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for arn, b := range s.balancers {
		list = append(list, fmt.Sprintf("elbv2/load-balancer %s %s", arn, b.name))
	}
	for arn, g := range s.groups {
		list = append(list, fmt.Sprintf("elbv2/target-group %s %s", arn, g.name))
	}
	slices.Sort(list)
	return list
}

// validation is the query protocol's generic error for what the request itself gets wrong.
func validation(format string, args ...any) error {
	return &wire.Error{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

// newHex returns the 16 hexadecimal digits at the end of ARNs.
func newHex() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func arnOf(region, rest string) string {
	return "arn:aws:elasticloadbalancing:" + region + ":" + wire.AccountID + ":" + rest
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// tagMap checks tags and puts them into a map.
func tagMap(tags []types.Tag) (map[string]string, error) {
	m := map[string]string{}
	for _, t := range tags {
		k := aws.ToString(t.Key)
		if _, ok := m[k]; ok {
			return nil, &types.DuplicateTagKeysException{Message: aws.String("The same tag key has been specified more than once")}
		}
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, validation("aws: prefixed tag key names are not allowed for external use.")
		}
		m[k] = aws.ToString(t.Value)
	}
	return m, nil
}
