package elbv2_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
)

// nodes are instances on which some ports answer: by TCP, with the instance's id, or
// with a status.
type nodes map[string]map[int32]int

func (n nodes) reach(ctx context.Context, _, instance string, port int32) (net.Conn, error) {
	status, ok := n[instance][port]
	if !ok {
		return nil, syscall.ECONNREFUSED
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		head := make([]byte, 1<<10)
		if _, err := server.Read(head); err == nil {
			fmt.Fprintf(server, "HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s", status, len(instance), instance)
		}
	}()
	return client, nil
}

// TestDial: connections to a network load balancer go to its healthy targets.
func TestDial(t *testing.T) {
	ctx := t.Context()
	clk := clock.New(1000)
	s, c, network := start(t, clk)
	at := nodes{}
	s.Forward(at.reach)

	vpc := awstest.Must(network.CreateVpc(ctx, &ec2sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc.VpcId
	subnet := awstest.Must(network.CreateSubnet(ctx, &ec2sdk.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: aws.String(awstest.Region + "a")}))(t).Subnet.SubnetId
	var targets []types.TargetDescription
	for range 2 {
		run := awstest.Must(network.RunInstances(ctx, &ec2sdk.RunInstancesInput{ImageId: aws.String(image(t, network)), InstanceType: "c6i.xlarge", SubnetId: subnet, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}))(t)
		targets = append(targets, types.TargetDescription{Id: run.Instances[0].InstanceId})
	}
	good, bad := *targets[0].Id, *targets[1].Id
	at[good], at[bad] = map[int32]int{30080: 200, 31000: 200}, map[int32]int{30080: 200, 31000: 503}
	awstest.Eventually(t, "instances run", func() bool {
		out := awstest.Must(network.DescribeInstances(ctx, &ec2sdk.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"running"}}}}))(t)
		n := 0
		for _, r := range out.Reservations {
			n += len(r.Instances)
		}
		return n == 2
	})
	lb := awstest.Must(c.CreateLoadBalancer(ctx, &sdk.CreateLoadBalancerInput{Name: aws.String("web"), Type: types.LoadBalancerTypeEnumNetwork, Scheme: types.LoadBalancerSchemeEnumInternal, Subnets: []string{*subnet}}))(t).LoadBalancers[0]
	group := awstest.Must(c.CreateTargetGroup(ctx, &sdk.CreateTargetGroupInput{
		Name: aws.String("web"), Protocol: types.ProtocolEnumTcp, Port: aws.Int32(30080), VpcId: vpc,
		HealthCheckProtocol: types.ProtocolEnumHttp, HealthCheckPort: aws.String("31000"), HealthCheckPath: aws.String("/healthz"),
	}))(t).TargetGroups[0].TargetGroupArn
	awstest.Must(c.CreateListener(ctx, &sdk.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumTcp,
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: group}},
	}))(t)
	dial := func(port int32) (string, error) {
		conn, known, err := s.Dial(ctx, *lb.DNSName, port)
		if !known {
			t.Fatal("the load balancer is not known by its name")
		}
		if err != nil {
			return "", err
		}
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }, DisableKeepAlives: true}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://x", nil)
		if err != nil {
			return "", err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	awstest.Eventually(t, "it takes connections and has no target", func() bool {
		_, err := dial(80)
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	awstest.Must(c.RegisterTargets(ctx, &sdk.RegisterTargetsInput{TargetGroupArn: group, Targets: targets}))(t)
	for range 10 {
		if got, err := dial(80); err != nil || got != good {
			t.Errorf("%s, %v answered, want %s", got, err, good)
		}
	}
	if _, err := dial(81); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without a listener: %v", err)
	}
	states := map[string]*types.TargetHealth{}
	for _, d := range awstest.Must(c.DescribeTargetHealth(ctx, &sdk.DescribeTargetHealthInput{TargetGroupArn: group}))(t).TargetHealthDescriptions {
		states[*d.Target.Id] = d.TargetHealth
	}
	if h := states[good]; h.State != types.TargetHealthStateEnumHealthy {
		t.Errorf("the healthy target is %+v", h)
	}
	if h := states[bad]; h.State != types.TargetHealthStateEnumUnhealthy || h.Reason != types.TargetHealthReasonEnumResponseCodeMismatch || *h.Description != "Health checks failed with these codes: [503]" {
		t.Errorf("the other is %+v", h)
	}
	delete(at[good], 31000)
	seen := map[string]bool{}
	for range 50 {
		got, err := dial(80)
		if err != nil {
			t.Fatal(err)
		}
		seen[got] = true
	}
	if !seen[good] || !seen[bad] {
		t.Errorf("with no healthy target: %v", seen)
	}
	if _, known, _ := s.Dial(ctx, "web-0.elb."+awstest.Region+".amazonaws.com", 80); known {
		t.Error("a name of no load balancer is known")
	}
}

func image(t *testing.T, c *ec2sdk.Client) string {
	t.Helper()
	out := awstest.Must(c.DescribeImages(t.Context(), &ec2sdk.DescribeImagesInput{Owners: []string{"amazon"}, Filters: []ec2types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}}}))(t)
	if len(out.Images) == 0 {
		t.Fatal("there are no images")
	}
	return *out.Images[0].ImageId
}
