package addons

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
)

// fakeELB has one load balancer with listeners by protocol and one target group.
type fakeELB struct {
	kind       types.LoadBalancerTypeEnum
	listeners  []types.ProtocolEnum
	attributes map[string]map[string]string // by the last part of the ARN
	writes     []string
}

func newFakeELB(listeners ...types.ProtocolEnum) *fakeELB {
	f := &fakeELB{kind: types.LoadBalancerTypeEnumNetwork, listeners: listeners, attributes: map[string]map[string]string{
		"group": {unhealthyEnds: "true", unhealthyDrains: "0", "stickiness.enabled": "false"},
	}}
	for i := range listeners {
		f.attributes[fmt.Sprint(i)] = map[string]string{idleTimeout: "350"}
	}
	return f
}

func (f *fakeELB) DescribeLoadBalancers(context.Context, *elb.DescribeLoadBalancersInput, ...func(*elb.Options)) (*elb.DescribeLoadBalancersOutput, error) {
	return &elb.DescribeLoadBalancersOutput{LoadBalancers: []types.LoadBalancer{
		{LoadBalancerArn: aws.String("arn:other"), DNSName: aws.String("other.elb.amazonaws.com"), Type: types.LoadBalancerTypeEnumNetwork},
		{LoadBalancerArn: aws.String("arn:nlb"), DNSName: aws.String("nlb.elb.amazonaws.com"), Type: f.kind},
	}}, nil
}

func (f *fakeELB) DescribeListeners(_ context.Context, in *elb.DescribeListenersInput, _ ...func(*elb.Options)) (*elb.DescribeListenersOutput, error) {
	out := &elb.DescribeListenersOutput{}
	for i, p := range f.listeners {
		out.Listeners = append(out.Listeners, types.Listener{ListenerArn: aws.String(fmt.Sprint(i)), Port: aws.Int32(int32(80 + i)), Protocol: p, LoadBalancerArn: in.LoadBalancerArn})
	}
	return out, nil
}

func (f *fakeELB) DescribeTargetGroups(context.Context, *elb.DescribeTargetGroupsInput, ...func(*elb.Options)) (*elb.DescribeTargetGroupsOutput, error) {
	return &elb.DescribeTargetGroupsOutput{TargetGroups: []types.TargetGroup{{TargetGroupArn: aws.String("group"), TargetGroupName: aws.String("k8s-web")}}}, nil
}

func (f *fakeELB) DescribeListenerAttributes(_ context.Context, in *elb.DescribeListenerAttributesInput, _ ...func(*elb.Options)) (*elb.DescribeListenerAttributesOutput, error) {
	out := &elb.DescribeListenerAttributesOutput{}
	for k, v := range f.attributes[*in.ListenerArn] {
		out.Attributes = append(out.Attributes, types.ListenerAttribute{Key: aws.String(k), Value: aws.String(v)})
	}
	return out, nil
}

func (f *fakeELB) ModifyListenerAttributes(_ context.Context, in *elb.ModifyListenerAttributesInput, _ ...func(*elb.Options)) (*elb.ModifyListenerAttributesOutput, error) {
	for _, a := range in.Attributes {
		f.write(*in.ListenerArn, *a.Key, *a.Value)
	}
	return &elb.ModifyListenerAttributesOutput{}, nil
}

func (f *fakeELB) DescribeTargetGroupAttributes(_ context.Context, in *elb.DescribeTargetGroupAttributesInput, _ ...func(*elb.Options)) (*elb.DescribeTargetGroupAttributesOutput, error) {
	out := &elb.DescribeTargetGroupAttributesOutput{}
	for k, v := range f.attributes[*in.TargetGroupArn] {
		out.Attributes = append(out.Attributes, types.TargetGroupAttribute{Key: aws.String(k), Value: aws.String(v)})
	}
	return out, nil
}

func (f *fakeELB) ModifyTargetGroupAttributes(_ context.Context, in *elb.ModifyTargetGroupAttributesInput, _ ...func(*elb.Options)) (*elb.ModifyTargetGroupAttributesOutput, error) {
	for _, a := range in.Attributes {
		f.write(*in.TargetGroupArn, *a.Key, *a.Value)
	}
	return &elb.ModifyTargetGroupAttributesOutput{}, nil
}

func (f *fakeELB) write(arn, key, value string) {
	f.attributes[arn][key] = value
	f.writes = append(f.writes, arn+" "+key+"="+value)
}

// ingressService is the controller's service, with the name of its load balancer in DNS.
func ingressService(hostname string) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "ingress-nginx-controller", Namespace: IngressNginxName, Labels: map[string]string{"app.kubernetes.io/instance": IngressNginxName}},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer},
	}
	if hostname != "" {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: hostname}}
	}
	return s
}

func testBalancer(api BalancerAPI, ready bool, services ...*corev1.Service) *Balancer {
	client := fake.NewClientset()
	for _, s := range services {
		_ = client.Tracker().Add(s)
	}
	cluster := &fakeCluster{ready: ready}
	b := NewNginxBalancer(api, cluster, cluster)
	b.connect = func() (kubernetes.Interface, error) { return client, nil }
	return b
}

// TestBalancerIsToldWhatKubernetesCannot: silent connections last an hour, and
// those to a proxy that stops are not cut.
func TestBalancerIsToldWhatKubernetesCannot(t *testing.T) {
	api := newFakeELB(types.ProtocolEnumTcp, types.ProtocolEnumTls, types.ProtocolEnumTcp)
	b := testBalancer(api, true, ingressService("NLB.elb.amazonaws.com"))
	o, err := b.Observe(t.Context())
	if err != nil || !o.Exists || o.Detail != "NLB.elb.amazonaws.com" {
		t.Fatalf("%+v %v", o, err)
	}
	var fields []string
	for _, c := range o.Changes {
		fields = append(fields, fmt.Sprintf("%s %v>%v", c.Field, c.Live, c.Wanted))
	}
	want := []string{
		"k8s-web: target_health_state.unhealthy.connection_termination.enabled true>false",
		"k8s-web: target_health_state.unhealthy.draining_interval_seconds 0>900",
		"port 80: tcp.idle_timeout.seconds 350>3600",
		"port 82: tcp.idle_timeout.seconds 350>3600", // not the TLS listener: 350 cannot be changed there
	}
	if !slices.Equal(fields, want) {
		t.Errorf("changes\n%s", strings.Join(fields, "\n"))
	}
	if err := b.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if o, err = b.Observe(t.Context()); err != nil || len(o.Changes) > 0 || len(api.writes) != 4 {
		t.Errorf("afterwards %+v %v, writes %v", o.Changes, err, api.writes)
	}
	// Somebody sets one back.
	api.attributes["0"][idleTimeout], api.writes = "60", nil
	if o, _ = b.Observe(t.Context()); len(o.Changes) != 1 {
		t.Errorf("drift: %+v", o.Changes)
	}
	if err := b.Apply(t.Context(), quiet); err != nil || !slices.Equal(api.writes, []string{"0 tcp.idle_timeout.seconds=3600"}) {
		t.Errorf("writes %v, %v", api.writes, err)
	}
}

func TestBalancerThatIsNotThere(t *testing.T) {
	port := ingressService("")
	port.Spec.Type = corev1.ServiceTypeNodePort
	application := newFakeELB(types.ProtocolEnumTcp)
	application.kind = types.LoadBalancerTypeEnumApplication
	tests := map[string]struct {
		b      *Balancer
		exists bool
		notes  int
	}{
		"no cluster":         {testBalancer(newFakeELB(), false), false, 0},
		"no service":         {testBalancer(newFakeELB(), true), false, 0},
		"no name yet":        {testBalancer(newFakeELB(), true, ingressService("")), false, 0},
		"a node port":        {testBalancer(newFakeELB(), true, port), true, 0},
		"somebody else's":    {testBalancer(newFakeELB(), true, ingressService("balancer.example.com")), true, 1},
		"not of our kind":    {testBalancer(application, true, ingressService("nlb.elb.amazonaws.com")), true, 1},
		"without a listener": {testBalancer(newFakeELB(), true, ingressService("nlb.elb.amazonaws.com")), true, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o, err := test.b.Observe(t.Context())
			if err != nil || o.Exists != test.exists || len(o.Notes) != test.notes {
				t.Errorf("%+v %v", o, err)
			}
		})
	}
}
