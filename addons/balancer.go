package addons

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// BalancerAPI is what [Balancer] needs of Elastic Load Balancing.
type BalancerAPI interface {
	elb.DescribeLoadBalancersAPIClient
	elb.DescribeListenersAPIClient
	elb.DescribeTargetGroupsAPIClient
	DescribeListenerAttributes(context.Context, *elb.DescribeListenerAttributesInput, ...func(*elb.Options)) (*elb.DescribeListenerAttributesOutput, error)
	ModifyListenerAttributes(context.Context, *elb.ModifyListenerAttributesInput, ...func(*elb.Options)) (*elb.ModifyListenerAttributesOutput, error)
	DescribeTargetGroupAttributes(context.Context, *elb.DescribeTargetGroupAttributesInput, ...func(*elb.Options)) (*elb.DescribeTargetGroupAttributesOutput, error)
	ModifyTargetGroupAttributes(context.Context, *elb.ModifyTargetGroupAttributesInput, ...func(*elb.Options)) (*elb.ModifyTargetGroupAttributesOutput, error)
}

// What a way in's NLB must be told, and Kubernetes cannot tell it: the cloud
// controller that EKS runs has no annotation for the one and refuses the others
// (k8s.io/cloud-provider-aws, validateServiceAnnotationTargetGroupAttributes).
const (
	// idleTimeout is after how many silent seconds an NLB forgets a connection: 350
	// if it is told nothing, 60 to 6000 (ELB API reference, ListenerAttribute). A
	// model that reads a long prompt says nothing for longer.
	idleTimeout = "tcp.idle_timeout.seconds"
	// An NLB cuts the connections to a node that fails the health check. A node
	// fails it when its proxy begins to stop, and has answers under way
	// (TargetGroupAttribute).
	unhealthyEnds   = "target_health_state.unhealthy.connection_termination.enabled"
	unhealthyDrains = "target_health_state.unhealthy.draining_interval_seconds"
)

// Balancer is the settings of a way in's load balancer that Kubernetes cannot make.
// The load balancer itself comes and goes with its service.
type Balancer struct {
	name    string // of the way in
	api     BalancerAPI
	cluster Cluster
	which   serviceLabels
	needs   []engine.Resource
	connect func() (kubernetes.Interface, error)

	found balancer
}

// serviceLabels pick a service of type LoadBalancer.
type serviceLabels struct{ namespace, selector string }

// balancer is what is there of a load balancer: each setting that is to be made.
type balancer struct {
	hostname string
	without  bool // the blueprint's values ask for a service without one
	nlb      bool // it is an NLB of this account
	settings []setting
}

// setting is a listener or a target group, with its attributes.
type setting struct {
	arn, name    string // "port 443"
	listener     bool
	live, wanted map[string]string
}

// NewNginxBalancer makes the resource "load-balancer/ingress-nginx", which needs
// the release.
func NewNginxBalancer(api BalancerAPI, cluster Cluster, release engine.Resource) *Balancer {
	return newBalancer(IngressNginxName, api, cluster, serviceLabels{IngressNginxName, "app.kubernetes.io/instance=" + IngressNginxName}, release)
}

func newBalancer(name string, api BalancerAPI, cluster Cluster, which serviceLabels, needs ...engine.Resource) *Balancer {
	b := &Balancer{name: name, api: api, cluster: cluster, which: which, needs: append([]engine.Resource{cluster}, needs...)}
	b.connect = func() (kubernetes.Interface, error) {
		config, err := cluster.RESTConfig()
		if err != nil {
			return nil, err
		}
		return kubernetes.NewForConfig(config)
	}
	return b
}

// ID implements engine.Resource.
func (b *Balancer) ID() string { return "load-balancer/" + b.name }

// Needs implements engine.Resource.
func (b *Balancer) Needs() []engine.Resource { return b.needs }

// Container implements engine.Inner.
func (b *Balancer) Container() engine.Resource { return b.cluster }

// Hostname is the load balancer's name in DNS once it is there.
func (b *Balancer) Hostname() string { return b.found.hostname }

// Observe implements engine.Resource.
func (b *Balancer) Observe(ctx context.Context) (engine.Observation, error) {
	creation := engine.Observation{Changes: []engine.Change{{Field: "idleTimeoutSeconds", Wanted: AnswerSeconds, Policy: engine.PolicyCreate}}}
	b.found = balancer{}
	if !b.cluster.Ready() {
		return creation, nil
	}
	if err := b.read(ctx); err != nil {
		return engine.Observation{}, err
	}
	if b.found.without {
		return engine.Observation{Exists: true, Detail: "its service has no load balancer"}, nil
	}
	if b.found.hostname == "" {
		return creation, nil
	}
	o := engine.Observation{Exists: true, Detail: b.found.hostname}
	if !b.found.nlb {
		o.Notes = []string{"it is no NLB of this account's: how long it keeps silent connections is left alone"}
	}
	for _, s := range b.found.settings {
		o.Changes = append(o.Changes, s.changes()...)
	}
	return o, nil
}

// read looks for the load balancer and its settings.
func (b *Balancer) read(ctx context.Context) error {
	client, err := b.connect()
	if err != nil {
		return cloud.Wrap(b.ID(), "connecting to the cluster", err)
	}
	if b.found, err = findBalancer(ctx, client, b.which); err != nil {
		return unreachable(b.ID(), "looking for its service", err)
	}
	if b.found.hostname == "" {
		return nil
	}
	err = cloud.Settled(ctx, func(ctx context.Context) error { return b.readSettings(ctx) })
	return cloud.Wrap(b.ID(), "reading the load balancer's settings", err)
}

// findBalancer reads the name of the service's load balancer in DNS.
func findBalancer(ctx context.Context, client kubernetes.Interface, which serviceLabels) (balancer, error) {
	services, err := client.CoreV1().Services(which.namespace).List(ctx, metav1.ListOptions{LabelSelector: which.selector})
	if err != nil {
		return balancer{}, err
	}
	found := balancer{without: len(services.Items) > 0}
	for _, s := range services.Items {
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		found.without = false
		for _, at := range s.Status.LoadBalancer.Ingress {
			if found.hostname == "" {
				found.hostname = at.Hostname
			}
		}
	}
	return found, nil
}

func (b *Balancer) readSettings(ctx context.Context) error {
	b.found.nlb, b.found.settings = false, nil
	arn, err := b.arn(ctx)
	if err != nil || arn == "" {
		return err
	}
	b.found.nlb = true
	listeners, err := b.api.DescribeListeners(ctx, &elb.DescribeListenersInput{LoadBalancerArn: &arn}) // one has at most 50, a page 100
	if err != nil {
		return err
	}
	for _, l := range listeners.Listeners {
		if l.Protocol != types.ProtocolEnumTcp { // a TLS listener's timeout cannot be changed
			continue
		}
		out, err := b.api.DescribeListenerAttributes(ctx, &elb.DescribeListenerAttributesInput{ListenerArn: l.ListenerArn})
		if err != nil {
			return err
		}
		s := setting{arn: aws.ToString(l.ListenerArn), name: "port " + strconv.Itoa(int(aws.ToInt32(l.Port))), listener: true,
			live: map[string]string{}, wanted: map[string]string{idleTimeout: AnswerSeconds}}
		for _, a := range out.Attributes {
			s.live[aws.ToString(a.Key)] = aws.ToString(a.Value)
		}
		b.found.settings = append(b.found.settings, s)
	}
	if err := b.readTargetGroups(ctx, arn); err != nil {
		return err
	}
	slices.SortFunc(b.found.settings, func(x, y setting) int { return strings.Compare(x.name, y.name) })
	return nil
}

func (b *Balancer) readTargetGroups(ctx context.Context, balancer string) error {
	groups, err := b.api.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{LoadBalancerArn: &balancer})
	if err != nil {
		return err
	}
	for _, g := range groups.TargetGroups {
		out, err := b.api.DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: g.TargetGroupArn})
		if err != nil {
			return err
		}
		s := setting{arn: aws.ToString(g.TargetGroupArn), name: aws.ToString(g.TargetGroupName),
			live: map[string]string{}, wanted: map[string]string{unhealthyEnds: "false", unhealthyDrains: strconv.Itoa(drainSeconds)}}
		for _, a := range out.Attributes {
			s.live[aws.ToString(a.Key)] = aws.ToString(a.Value)
		}
		b.found.settings = append(b.found.settings, s)
	}
	return nil
}

// arn finds the NLB by its name in DNS; empty if there is none.
func (b *Balancer) arn(ctx context.Context) (string, error) {
	pages := elb.NewDescribeLoadBalancersPaginator(b.api, &elb.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, lb := range page.LoadBalancers {
			if strings.EqualFold(aws.ToString(lb.DNSName), b.found.hostname) && lb.Type == types.LoadBalancerTypeEnumNetwork {
				return aws.ToString(lb.LoadBalancerArn), nil
			}
		}
	}
	return "", nil
}

// differing are the attributes that are to be changed.
func (s setting) differing() []string {
	var keys []string
	for key, wanted := range s.wanted {
		if s.live[key] != wanted {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (s setting) changes() []engine.Change {
	var out []engine.Change
	for _, key := range s.differing() {
		out = append(out, engine.Change{Field: s.name + ": " + key, Live: orNil(s.live[key]), Wanted: s.wanted[key], Policy: engine.PolicyInPlace})
	}
	return out
}

// Apply implements engine.Resource.
func (b *Balancer) Apply(ctx context.Context, p engine.Progress) error {
	if err := b.read(ctx); err != nil {
		return err
	}
	for _, s := range b.found.settings {
		if len(s.differing()) == 0 {
			continue
		}
		p("setting what Kubernetes cannot: %s", s.name)
		if err := b.set(ctx, s); err != nil {
			return cloud.Wrap(b.ID(), fmt.Sprintf("setting the attributes of %s", s.name), err)
		}
	}
	return nil
}

func (b *Balancer) set(ctx context.Context, s setting) error {
	if s.listener {
		in := &elb.ModifyListenerAttributesInput{ListenerArn: &s.arn}
		for _, key := range s.differing() {
			in.Attributes = append(in.Attributes, types.ListenerAttribute{Key: aws.String(key), Value: aws.String(s.wanted[key])})
		}
		_, err := b.api.ModifyListenerAttributes(ctx, in)
		return err
	}
	in := &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &s.arn}
	for _, key := range s.differing() {
		in.Attributes = append(in.Attributes, types.TargetGroupAttribute{Key: aws.String(key), Value: aws.String(s.wanted[key])})
	}
	_, err := b.api.ModifyTargetGroupAttributes(ctx, in)
	return err
}

// Delete implements engine.Resource. The settings go with the load balancer, and
// that with its service.
func (b *Balancer) Delete(context.Context, engine.Progress) error { return nil }
