// Package elb plays the first generation of Elastic Load Balancing: classic load
// balancers, which a Service of type LoadBalancer gets on EKS unless an annotation
// asks for a network load balancer. Each holds interfaces in its subnets, which go
// only some time after the load balancer itself.
//
// Files: elb (this one), balancer (load balancers), place (subnets and security
// groups), listener, policy, health (instances and their health check),
// attributes, tags. Rules without a source of their own are those of
// https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/.
package elb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/later"
	"aicluster/e2e/localcloud/wire"
)

// Service is classic load balancing of all regions.
type Service struct {
	clock *clock.Clock
	ec2   *ec2.Service
	iam   *iam.Service
	later later.Queue
	reach Reach

	// mu guards the load balancers. EC2 may be called with it held: it does not call back.
	mu        sync.Mutex
	balancers map[key]*balancer
}

type key struct{ region, name string }

// New returns a service without load balancers.
func New(c *clock.Clock, e *ec2.Service, i *iam.Service) *Service {
	return &Service{clock: c, ec2: e, iam: i, balancers: map[key]*balancer{}}
}

// Close stops what is under way.
func (s *Service) Close() { s.later.Close() }

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("elb", "elasticloadbalancing", goFiles)
	handle(w, s.createLoadBalancer)
	handle(w, s.describeLoadBalancers)
	handle(w, s.deleteLoadBalancer)
	handle(w, s.attachSubnets)
	handle(w, s.detachSubnets)
	handle(w, s.applySecurityGroups)
	handle(w, s.createListeners)
	handle(w, s.deleteListeners)
	handle(w, s.createPolicy)
	handle(w, s.describePolicies)
	handle(w, s.deletePolicy)
	handle(w, s.setPoliciesOfListener)
	handle(w, s.setPoliciesForBackendServer)
	handle(w, s.configureHealthCheck)
	handle(w, s.registerInstances)
	handle(w, s.deregisterInstances)
	handle(w, s.describeInstanceHealth)
	handle(w, s.describeAttributes)
	handle(w, s.modifyAttributes)
	handle(w, s.addTags)
	handle(w, s.removeTags)
	handle(w, s.describeTags)
}

func handle[I, O any](w *wire.Server, f func(context.Context, *I) (*O, error)) {
	wire.Handle(w, "elb", f)
}

// Inventory lists the load balancers, sorted, as "elb/load-balancer REGION NAME".
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for k := range s.balancers {
		list = append(list, fmt.Sprintf("elb/load-balancer %s %s", k.region, k.name))
	}
	slices.Sort(list)
	return list
}

// find returns the load balancer of a name; s.mu is held.
func (s *Service) find(ctx context.Context, name *string) (*balancer, error) {
	b := s.balancers[key{wire.Region(ctx), aws.ToString(name)}]
	if b == nil {
		return nil, &types.AccessPointNotFoundException{Message: aws.String(fmt.Sprintf("There is no ACTIVE Load Balancer named '%s'", aws.ToString(name)))}
	}
	return b, nil
}

// validation is the query protocol's generic error for what the request itself gets wrong.
func validation(format string, args ...any) error {
	return &wire.Error{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

func configuration(format string, args ...any) error {
	return &types.InvalidConfigurationRequestException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
