package elb_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/elb"
	"aicluster/e2e/localcloud/iam"
)

// account has a VPC with a subnet in two zones each, a second subnet in the first
// zone, and a security group.
type account struct {
	t         *testing.T
	elb       *sdk.Client
	unchecked *sdk.Client // sends what the SDK would refuse
	ec2       *ec2sdk.Client
	service   *elb.Service
	vpc       string
	subnets   []string // a, b, a
	group     string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	clk := clock.New(100) // interfaces are released after 300 ms
	identities := iam.New(clk)
	compute := ec2.New(clk, identities)
	s := elb.New(clk, compute, identities)
	t.Cleanup(func() { s.Close(); compute.Close() })
	cfg := awstest.Start(t, compute.Register, s.Register)
	a := &account{t: t, elb: sdk.NewFromConfig(cfg), unchecked: sdk.NewFromConfig(awstest.Unchecked(cfg)), ec2: ec2sdk.NewFromConfig(cfg), service: s}
	ctx := t.Context()
	a.vpc = *awstest.Must(a.ec2.CreateVpc(ctx, &ec2sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc.VpcId
	for _, at := range [][2]string{{"10.0.0.0/24", "a"}, {"10.0.1.0/24", "b"}, {"10.0.2.0/24", "a"}} {
		out := awstest.Must(a.ec2.CreateSubnet(ctx, &ec2sdk.CreateSubnetInput{VpcId: &a.vpc, CidrBlock: &at[0], AvailabilityZone: aws.String(awstest.Region + at[1])}))(t)
		a.subnets = append(a.subnets, *out.Subnet.SubnetId)
	}
	a.group = *awstest.Must(a.ec2.CreateSecurityGroup(ctx, &ec2sdk.CreateSecurityGroupInput{
		VpcId: &a.vpc, GroupName: aws.String("k8s-elb-web"), Description: aws.String("Security group for Kubernetes ELB web (default/web)"),
	}))(t).GroupId
	return a
}

// request is what the cloud provider of EKS sends.
func (a *account) request() *sdk.CreateLoadBalancerInput {
	return &sdk.CreateLoadBalancerInput{
		LoadBalancerName: aws.String("web"), Subnets: a.subnets[:2], SecurityGroups: []string{a.group}, Scheme: aws.String("internal"),
		Listeners: []types.Listener{{LoadBalancerPort: 80, InstancePort: aws.Int32(30080), Protocol: aws.String("tcp"), InstanceProtocol: aws.String("tcp")}},
		Tags:      []types.Tag{{Key: aws.String("kubernetes.io/cluster/demo"), Value: aws.String("owned")}},
	}
}

func (a *account) describe() types.LoadBalancerDescription {
	a.t.Helper()
	out := awstest.Must(a.elb.DescribeLoadBalancers(a.t.Context(), &sdk.DescribeLoadBalancersInput{LoadBalancerNames: []string{"web"}}))(a.t)
	return out.LoadBalancerDescriptions[0]
}

func (a *account) interfaces() []ec2types.NetworkInterface {
	a.t.Helper()
	return awstest.Must(a.ec2.DescribeNetworkInterfaces(a.t.Context(), &ec2sdk.DescribeNetworkInterfacesInput{
		Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"ELB web"}}},
	}))(a.t).NetworkInterfaces
}

// TestRefusals: what CreateLoadBalancer does not take.
func TestRefusals(t *testing.T) {
	a := newAccount(t)
	for name, test := range map[string]struct {
		change      func(*sdk.CreateLoadBalancerInput)
		status      int
		code, words string
	}{
		"name too long": {func(in *sdk.CreateLoadBalancerInput) {
			in.LoadBalancerName = aws.String("a0123456789abcdef0123456789abcdef")
		}, 400, "ValidationError", "cannot be longer than 32"},
		"name with a dot": {func(in *sdk.CreateLoadBalancerInput) { in.LoadBalancerName = aws.String("a.b") }, 400, "ValidationError", "alphanumeric"},
		"scheme":          {func(in *sdk.CreateLoadBalancerInput) { in.Scheme = aws.String("public") }, 400, "InvalidScheme", "scheme"},
		"no listener":     {func(in *sdk.CreateLoadBalancerInput) { in.Listeners = []types.Listener{} }, 400, "ValidationError", "Listeners"},
		"udp":             {func(in *sdk.CreateLoadBalancerInput) { in.Listeners[0].Protocol = aws.String("udp") }, 400, "UnsupportedProtocol", "not supported"},
		"layers":          {func(in *sdk.CreateLoadBalancerInput) { in.Listeners[0].Protocol = aws.String("http") }, 409, "InvalidConfigurationRequest", "layer"},
		"no certificate":  {func(in *sdk.CreateLoadBalancerInput) { in.Listeners[0].Protocol = aws.String("ssl") }, 400, "ValidationError", "Secure Listeners need to specify a SSLCertificateId"},
		"nowhere":         {func(in *sdk.CreateLoadBalancerInput) { in.Subnets = nil }, 400, "ValidationError", "Either AvailabilityZones or SubnetIds must be specified"},
		"zones": {func(in *sdk.CreateLoadBalancerInput) {
			in.Subnets, in.AvailabilityZones = nil, []string{"ap-northeast-2a"}
		}, 409, "InvalidConfigurationRequest", "Default VPC not found"},
		"zones and subnet": {func(in *sdk.CreateLoadBalancerInput) { in.AvailabilityZones = []string{"ap-northeast-2a"} }, 400, "ValidationError", "Only one of"},
		"same zone":        {func(in *sdk.CreateLoadBalancerInput) { in.Subnets = a.subnets }, 409, "InvalidConfigurationRequest", "ELB cannot be attached to multiple subnets in the same AZ."},
		"no such subnet":   {func(in *sdk.CreateLoadBalancerInput) { in.Subnets = []string{"subnet-0123456789abcdef0"} }, 400, "SubnetNotFound", "subnet-0123456789abcdef0"},
		"no such group":    {func(in *sdk.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-0123456789abcdef0"} }, 400, "InvalidSecurityGroup", "do not exist"},
		"no gateway":       {func(in *sdk.CreateLoadBalancerInput) { in.Scheme = nil }, 400, "InvalidSubnet", "VPC " + a.vpc + " has no internet gateway"},
		"tag twice":        {func(in *sdk.CreateLoadBalancerInput) { in.Tags = append(in.Tags, in.Tags[0]) }, 400, "DuplicateTagKeys", "more than once"},
	} {
		t.Run(name, func(t *testing.T) {
			in := a.request()
			test.change(in)
			_, err := a.elb.CreateLoadBalancer(t.Context(), in)
			awstest.Fails(t, err, test.status, test.code, test.words)
		})
	}
	if got := a.service.Inventory(); len(got) > 0 {
		t.Errorf("made %v", got)
	}
	_, err := a.elb.DescribeLoadBalancers(t.Context(), &sdk.DescribeLoadBalancersInput{LoadBalancerNames: []string{"web"}})
	awstest.Fails(t, err, 400, "LoadBalancerNotFound", "There is no ACTIVE Load Balancer named 'web'")
	_, err = a.elb.DescribeTags(t.Context(), &sdk.DescribeTagsInput{LoadBalancerNames: []string{"web"}})
	awstest.Fails(t, err, 400, "LoadBalancerNotFound", "There is no ACTIVE Load Balancer named 'web'")
	// A load balancer that is not there is deleted without complaint, so what is left
	// to refuse is a request without a name.
	_, err = a.unchecked.DeleteLoadBalancer(t.Context(), &sdk.DeleteLoadBalancerInput{})
	awstest.Fails(t, err, 400, "ValidationError", "Value null at 'loadBalancerName' failed to satisfy constraint: Member must not be null")
}

// TestLife makes a load balancer as the cloud provider of EKS does and looks at
// what it holds until some time after its deletion.
func TestLife(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	made := awstest.Must(a.elb.CreateLoadBalancer(ctx, a.request()))(t)
	if again := awstest.Must(a.elb.CreateLoadBalancer(ctx, a.request()))(t); *again.DNSName != *made.DNSName {
		t.Error("the same request made a second load balancer")
	}
	other := a.request()
	other.Listeners[0].InstancePort = aws.Int32(30081)
	_, err := a.elb.CreateLoadBalancer(ctx, other)
	awstest.Fails(t, err, 400, "DuplicateLoadBalancerName", "Load Balancer named web already exists and it is configured with different parameters.")

	b := a.describe()
	if *b.VPCId != a.vpc || len(b.Subnets) != 2 || b.SecurityGroups[0] != a.group || *b.Scheme != "internal" || *b.HealthCheck.Target != "TCP:30080" ||
		*b.SourceSecurityGroup.GroupName != "k8s-elb-web" || *b.ListenerDescriptions[0].Listener.Protocol != "TCP" {
		t.Errorf("got %+v", b)
	}
	tags := awstest.Must(a.elb.DescribeTags(ctx, &sdk.DescribeTagsInput{LoadBalancerNames: []string{"web"}}))(t).TagDescriptions
	if len(tags) != 1 || *tags[0].Tags[0].Key != "kubernetes.io/cluster/demo" {
		t.Errorf("tags %+v", tags)
	}
	enis := a.interfaces()
	if len(enis) != 2 || !*enis[0].RequesterManaged || *enis[0].RequesterId != "amazon-elb" || *enis[0].Groups[0].GroupId != a.group || enis[0].Association != nil {
		t.Fatalf("interfaces %+v", enis)
	}

	_, err = a.elb.RegisterInstancesWithLoadBalancer(ctx, &sdk.RegisterInstancesWithLoadBalancerInput{
		LoadBalancerName: aws.String("web"), Instances: []types.Instance{{InstanceId: aws.String("i-0123456789abcdef0")}},
	})
	awstest.Fails(t, err, 400, "InvalidInstance", "Could not find EC2 instance i-0123456789abcdef0.")

	for range 2 {
		awstest.Must(a.elb.DeleteLoadBalancer(ctx, &sdk.DeleteLoadBalancerInput{LoadBalancerName: aws.String("web")}))(t)
	}
	_, err = a.ec2.DeleteSecurityGroup(ctx, &ec2sdk.DeleteSecurityGroupInput{GroupId: &a.group})
	awstest.Fails(t, err, 400, "DependencyViolation", "resource "+a.group+" has a dependent object")
	_, err = a.ec2.DeleteSubnet(ctx, &ec2sdk.DeleteSubnetInput{SubnetId: &a.subnets[0]})
	awstest.Fails(t, err, 400, "DependencyViolation", a.subnets[0])
	awstest.Eventually(t, "interfaces released", func() bool { return len(a.interfaces()) == 0 })
	awstest.Must(a.ec2.DeleteSecurityGroup(ctx, &ec2sdk.DeleteSecurityGroupInput{GroupId: &a.group}))(t)
}

// TestChanges goes through all that can be changed on a load balancer.
func TestChanges(t *testing.T) {
	a := newAccount(t)
	ctx, web := t.Context(), aws.String("web")
	awstest.Must(a.elb.CreateLoadBalancer(ctx, a.request()))(t)

	listener := types.Listener{LoadBalancerPort: 443, InstancePort: aws.Int32(30443), Protocol: aws.String("TCP")}
	add := &sdk.CreateLoadBalancerListenersInput{LoadBalancerName: web, Listeners: []types.Listener{listener}}
	awstest.Must(a.elb.CreateLoadBalancerListeners(ctx, add))(t)
	awstest.Must(a.elb.CreateLoadBalancerListeners(ctx, add))(t)
	add.Listeners[0].InstancePort = aws.Int32(30444)
	_, err := a.elb.CreateLoadBalancerListeners(ctx, add)
	awstest.Fails(t, err, 400, "DuplicateListener", "LoadBalancerPort 443, but with a different InstancePort")

	policy := &sdk.CreateLoadBalancerPolicyInput{
		LoadBalancerName: web, PolicyName: aws.String("k8s-proxyprotocol-enabled"), PolicyTypeName: aws.String("ProxyProtocolPolicyType"),
		PolicyAttributes: []types.PolicyAttribute{{AttributeName: aws.String("ProxyProtocol"), AttributeValue: aws.String("true")}},
	}
	awstest.Must(a.elb.CreateLoadBalancerPolicy(ctx, policy))(t)
	set := &sdk.SetLoadBalancerPoliciesForBackendServerInput{LoadBalancerName: web, InstancePort: aws.Int32(30443), PolicyNames: []string{"k8s-proxyprotocol-enabled"}}
	awstest.Must(a.elb.SetLoadBalancerPoliciesForBackendServer(ctx, set))(t)
	if b := a.describe(); len(b.ListenerDescriptions) != 2 || len(b.BackendServerDescriptions) != 1 || len(b.Policies.OtherPolicies) != 1 {
		t.Errorf("got %+v", b)
	}
	set.PolicyNames = []string{"none"}
	_, err = a.elb.SetLoadBalancerPoliciesForBackendServer(ctx, set)
	awstest.Fails(t, err, 400, "PolicyNotFound", "none")
	_, err = a.elb.DescribeLoadBalancerPolicies(ctx, &sdk.DescribeLoadBalancerPoliciesInput{LoadBalancerName: web, PolicyNames: []string{"none"}})
	awstest.Fails(t, err, 400, "PolicyNotFound", "none")
	awstest.Must(a.elb.DeleteLoadBalancerListeners(ctx, &sdk.DeleteLoadBalancerListenersInput{LoadBalancerName: web, LoadBalancerPorts: []int32{80, 8080}}))(t)

	check := &sdk.ConfigureHealthCheckInput{LoadBalancerName: web, HealthCheck: &types.HealthCheck{
		Target: aws.String("HTTP:30000/healthz"), Interval: aws.Int32(10), Timeout: aws.Int32(5), HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(6),
	}}
	awstest.Must(a.elb.ConfigureHealthCheck(ctx, check))(t)
	check.HealthCheck.Target = aws.String("HTTP:30000")
	_, err = a.elb.ConfigureHealthCheck(ctx, check)
	awstest.Fails(t, err, 400, "ValidationError", "must specify a port followed by a path that begins with a slash")

	awstest.Must(a.elb.DetachLoadBalancerFromSubnets(ctx, &sdk.DetachLoadBalancerFromSubnetsInput{LoadBalancerName: web, Subnets: a.subnets[:1]}))(t)
	awstest.Must(a.elb.AttachLoadBalancerToSubnets(ctx, &sdk.AttachLoadBalancerToSubnetsInput{LoadBalancerName: web, Subnets: a.subnets[2:]}))(t)
	_, err = a.elb.DetachLoadBalancerFromSubnets(ctx, &sdk.DetachLoadBalancerFromSubnetsInput{LoadBalancerName: web, Subnets: a.subnets})
	awstest.Fails(t, err, 409, "InvalidConfigurationRequest", "at least one subnet")
	more := awstest.Must(a.ec2.CreateSecurityGroup(ctx, &ec2sdk.CreateSecurityGroupInput{VpcId: &a.vpc, GroupName: aws.String("more"), Description: aws.String("more")}))(t)
	awstest.Must(a.elb.ApplySecurityGroupsToLoadBalancer(ctx, &sdk.ApplySecurityGroupsToLoadBalancerInput{LoadBalancerName: web, SecurityGroups: []string{*more.GroupId}}))(t)
	awstest.Eventually(t, "first interface released", func() bool { return len(a.interfaces()) == 2 })
	for _, eni := range a.interfaces() {
		if len(eni.Groups) != 1 || *eni.Groups[0].GroupId != *more.GroupId {
			t.Errorf("groups %+v", eni.Groups)
		}
	}

	awstest.Must(a.elb.ModifyLoadBalancerAttributes(ctx, &sdk.ModifyLoadBalancerAttributesInput{
		LoadBalancerName: web, LoadBalancerAttributes: &types.LoadBalancerAttributes{ConnectionDraining: &types.ConnectionDraining{Enabled: true}},
	}))(t)
	got := awstest.Must(a.elb.DescribeLoadBalancerAttributes(ctx, &sdk.DescribeLoadBalancerAttributesInput{LoadBalancerName: web}))(t).LoadBalancerAttributes
	if !got.ConnectionDraining.Enabled || *got.ConnectionDraining.Timeout != 300 || *got.ConnectionSettings.IdleTimeout != 60 {
		t.Errorf("attributes %+v", got)
	}
	_, err = a.elb.ModifyLoadBalancerAttributes(ctx, &sdk.ModifyLoadBalancerAttributesInput{
		LoadBalancerName: web, LoadBalancerAttributes: &types.LoadBalancerAttributes{AdditionalAttributes: []types.AdditionalAttribute{{Key: aws.String("x"), Value: aws.String("y")}}},
	})
	awstest.Fails(t, err, 400, "LoadBalancerAttributeNotFound", "does not exist")

	awstest.Must(a.elb.AddTags(ctx, &sdk.AddTagsInput{LoadBalancerNames: []string{"web"}, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}}))(t)
	awstest.Must(a.elb.RemoveTags(ctx, &sdk.RemoveTagsInput{LoadBalancerNames: []string{"web"}, Tags: []types.TagKeyOnly{{Key: aws.String("kubernetes.io/cluster/demo")}}}))(t)
	if tags := awstest.Must(a.elb.DescribeTags(ctx, &sdk.DescribeTagsInput{LoadBalancerNames: []string{"web"}}))(t).TagDescriptions[0].Tags; len(tags) != 1 || *tags[0].Key != "team" {
		t.Errorf("tags %+v", tags)
	}
}
