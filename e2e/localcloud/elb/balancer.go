package elb

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

// maxBalancers is the quota of classic load balancers in a region
// (https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-limits.html).
const maxBalancers = 20

// balancer is a load balancer.
type balancer struct {
	key
	internal   bool
	vpc        string
	subnets    []ec2.Subnet
	interfaces map[string]string // of each subnet
	groups     []string
	listeners  map[int32]*listener // by the port of the load balancer
	backends   map[int32][]string  // policies by the port of the instances
	policies   map[string]*policy
	health     types.HealthCheck
	instances  map[string]bool
	attributes types.LoadBalancerAttributes
	tags       map[string]string
	created    time.Time
	inService  bool // has instances take traffic
}

// hostname is NAME-NUMBER.REGION.elb.amazonaws.com, with "internal-" before it for
// an internal load balancer.
func (b *balancer) hostname() string {
	h := fnv.New32a()
	fmt.Fprint(h, b.region, b.name, b.created.UnixNano())
	prefix := ""
	if b.internal {
		prefix = "internal-"
	}
	return fmt.Sprintf("%s%s-%d.%s.elb.amazonaws.com", prefix, b.name, 1_000_000_000+h.Sum32()%1_000_000_000, b.region)
}

func (b *balancer) scheme() string {
	if b.internal {
		return "internal"
	}
	return "internet-facing"
}

func (s *Service) output(b *balancer) types.LoadBalancerDescription {
	host := aws.String(b.hostname())
	out := types.LoadBalancerDescription{
		LoadBalancerName: aws.String(b.name), DNSName: host, CanonicalHostedZoneNameID: aws.String("ZWKZPGTI48KDX"), Scheme: aws.String(b.scheme()),
		VPCId: aws.String(b.vpc), SecurityGroups: slices.Clone(b.groups), CreatedTime: aws.Time(b.created), Instances: s.instancesOf(b),
		ListenerDescriptions: b.listenerOutput(), BackendServerDescriptions: b.backendOutput(), Policies: b.policyNames(),
		AvailabilityZones: []string{}, Subnets: []string{},
	}
	health := b.health
	out.HealthCheck = &health
	if !b.internal {
		out.CanonicalHostedZoneName = host
	}
	for _, sn := range b.subnets {
		out.Subnets, out.AvailabilityZones = append(out.Subnets, sn.ID), append(out.AvailabilityZones, sn.Zone)
	}
	if found, err := s.ec2.SecurityGroups(b.region, b.groups[:1]); err == nil {
		out.SourceSecurityGroup = &types.SourceSecurityGroup{GroupName: aws.String(found[0].Name), OwnerAlias: aws.String(wire.AccountID)}
	}
	return out
}

var balancerName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`)

func checkName(name string) error {
	switch {
	case len(name) > 32:
		return validation("LoadBalancerName cannot be longer than 32 characters")
	case !balancerName.MatchString(name):
		return validation("LoadBalancerName must contain only alphanumeric characters or hyphens, and cannot begin or end with a hyphen")
	}
	return nil
}

// request is a load balancer as a request wants it, made of nothing yet.
func (s *Service) request(ctx context.Context, in *elasticloadbalancing.CreateLoadBalancerInput) (*balancer, error) {
	b := &balancer{
		key: key{wire.Region(ctx), *in.LoadBalancerName}, interfaces: map[string]string{}, listeners: map[int32]*listener{}, backends: map[int32][]string{},
		policies: map[string]*policy{}, instances: map[string]bool{}, attributes: defaultAttributes(), tags: map[string]string{}, created: time.Now().UTC().Truncate(10 * time.Millisecond),
	}
	if err := checkName(b.name); err != nil {
		return nil, err
	}
	switch aws.ToString(in.Scheme) {
	case "", "internet-facing":
	case "internal":
		b.internal = true
	default:
		return nil, &types.InvalidSchemeException{Message: aws.String("The specified value for the scheme is not valid. You can only specify a scheme for load balancers in a VPC.")}
	}
	if err := mergeTags(b.tags, in.Tags); err != nil {
		return nil, err
	}
	if len(in.Listeners) == 0 {
		return nil, validation("Listeners cannot be empty")
	}
	if err := b.addListeners(in.Listeners); err != nil {
		return nil, err
	}
	b.health = defaultHealthCheck(*in.Listeners[0].InstancePort)
	if err := s.place(b, in); err != nil {
		return nil, err
	}
	return b, nil
}

// createLoadBalancer makes a load balancer. The same request again gives the same
// load balancer.
func (s *Service) createLoadBalancer(ctx context.Context, in *elasticloadbalancing.CreateLoadBalancerInput) (*elasticloadbalancing.CreateLoadBalancerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.request(ctx, in)
	if err != nil {
		return nil, err
	}
	if have := s.balancers[b.key]; have != nil {
		switch {
		case !have.sameAs(b):
			return nil, duplicate(b.name, "parameters")
		case !maps.Equal(have.tags, b.tags):
			return nil, duplicate(b.name, "tags") // ansible/ansible#29965
		}
		return &elasticloadbalancing.CreateLoadBalancerOutput{DNSName: aws.String(have.hostname())}, nil
	}
	if s.count(b.region) >= maxBalancers {
		return nil, &types.TooManyAccessPointsException{Message: aws.String("Exceeded quota of account " + wire.AccountID)}
	}
	if err := s.plug(b, b.subnets); err != nil {
		return nil, err
	}
	s.iam.EnsureServiceLinkedRole("elasticloadbalancing.amazonaws.com")
	s.balancers[b.key] = b
	s.later.After(s.clock.Duration(clock.LoadBalancerCreate), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		b.inService = true
	})
	return &elasticloadbalancing.CreateLoadBalancerOutput{DNSName: aws.String(b.hostname())}, nil
}

func duplicate(name, what string) error {
	return &types.DuplicateAccessPointNameException{Message: aws.String(fmt.Sprintf("Load Balancer named %s already exists and it is configured with different %s.", name, what))}
}

// sameAs compares what a request to create says, tags apart.
func (b *balancer) sameAs(o *balancer) bool {
	id := func(sn ec2.Subnet) string { return sn.ID }
	return b.internal == o.internal && sameSet(each(b.subnets, id), each(o.subnets, id)) && sameSet(b.groups, o.groups) &&
		maps.EqualFunc(b.listeners, o.listeners, func(x, y *listener) bool { return x.same(y) })
}

func each[T any](list []T, f func(T) string) []string {
	var out []string
	for _, x := range list {
		out = append(out, f(x))
	}
	return out
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (s *Service) count(region string) int {
	n := 0
	for k := range s.balancers {
		if k.region == region {
			n++
		}
	}
	return n
}

func (s *Service) describeLoadBalancers(ctx context.Context, in *elasticloadbalancing.DescribeLoadBalancersInput) (*elasticloadbalancing.DescribeLoadBalancersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*balancer
	for _, name := range in.LoadBalancerNames {
		b, err := s.find(ctx, &name)
		if err != nil {
			return nil, err
		}
		found = append(found, b)
	}
	for _, b := range s.balancers {
		if len(in.LoadBalancerNames) == 0 && b.region == wire.Region(ctx) {
			found = append(found, b)
		}
	}
	out := &elasticloadbalancing.DescribeLoadBalancersOutput{LoadBalancerDescriptions: []types.LoadBalancerDescription{}}
	slices.SortFunc(found, func(a, b *balancer) int { return a.created.Compare(b.created) })
	for _, b := range found {
		out.LoadBalancerDescriptions = append(out.LoadBalancerDescriptions, s.output(b))
	}
	return out, nil
}

// deleteLoadBalancer deletes a load balancer; one that is not there is no error.
// Its interfaces stay for a while longer and hold their subnets, security groups
// and the internet gateway.
func (s *Service) deleteLoadBalancer(ctx context.Context, in *elasticloadbalancing.DeleteLoadBalancerInput) (*elasticloadbalancing.DeleteLoadBalancerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{wire.Region(ctx), aws.ToString(in.LoadBalancerName)}
	if b := s.balancers[k]; b != nil {
		delete(s.balancers, k)
		s.release(b.region, slices.Collect(maps.Values(b.interfaces)))
	}
	return &elasticloadbalancing.DeleteLoadBalancerOutput{}, nil
}

// release lets interfaces go after a while.
func (s *Service) release(region string, ids []string) {
	s.later.After(s.clock.Duration(clock.LoadBalancerDelete), func() {
		for _, id := range ids {
			s.ec2.DeleteInterface(region, id)
		}
	})
}
