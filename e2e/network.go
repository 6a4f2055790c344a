package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdNetwork makes a VPC as a network team would have it, by the SDK: two zones,
// in each a public and a private subnet, one NAT gateway. "network REGION FILE"
// writes the ids into FILE in the place of $VPC, $PRIVATE_A and $PRIVATE_B. The
// network counts as part of what was there at the start.
func cmdNetwork(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: network REGION FILE")
	}
	f := of(ts)
	n := networkTeam{ctx: context.Background(), region: args[0], api: patient(ec2.NewFromConfig(f.config(args[0])))}
	ts.Check(n.build())
	ids := map[string]string{"VPC": n.vpc, "PRIVATE_A": n.private[0], "PRIVATE_B": n.private[1]}
	text := os.Expand(ts.ReadFile(args[1]), func(name string) string { return ids[name] })
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
	ts.Check(writeInventory(f, ts.MkAbs(startInventory)))
}

const (
	natPoll  = 100 * time.Millisecond
	natLimit = time.Minute
)

// patient is an EC2 client that asks again when EC2 does not know an id yet: it
// is eventually consistent.
func patient(api *ec2.Client) *ec2.Client {
	o := api.Options()
	o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts, s.Backoff = 100, retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return natPoll, nil })
		s.RateLimiter = ratelimit.None
		s.Retryables = append(s.Retryables, retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			var e smithy.APIError
			return aws.BoolTernary(errors.As(err, &e) && strings.HasSuffix(e.ErrorCode(), ".NotFound"))
		}))
	})
	return ec2.New(o)
}

// networkTeam makes a VPC.
type networkTeam struct {
	ctx     context.Context
	api     *ec2.Client
	region  string
	vpc     string
	private []string
}

func (n *networkTeam) build() error {
	vpc, err := n.api.CreateVpc(n.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("172.20.0.0/16")})
	if err != nil {
		return err
	}
	n.vpc = *vpc.Vpc.VpcId
	_, err = n.api.ModifyVpcAttribute(n.ctx, &ec2.ModifyVpcAttributeInput{VpcId: &n.vpc, EnableDnsHostnames: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}})
	if err != nil {
		return err
	}
	internet, err := n.api.CreateInternetGateway(n.ctx, &ec2.CreateInternetGatewayInput{})
	if err != nil {
		return err
	}
	_, err = n.api.AttachInternetGateway(n.ctx, &ec2.AttachInternetGatewayInput{VpcId: &n.vpc, InternetGatewayId: internet.InternetGateway.InternetGatewayId})
	if err != nil {
		return err
	}
	var public []string
	for i, zone := range []string{"a", "b"} {
		id, err := n.subnet(zone, i, "kubernetes.io/role/elb")
		if err != nil {
			return err
		}
		public = append(public, id)
		if id, err = n.subnet(zone, i+2, "kubernetes.io/role/internal-elb"); err != nil {
			return err
		}
		n.private = append(n.private, id)
	}
	if err := n.route(&ec2.CreateRouteInput{GatewayId: internet.InternetGateway.InternetGatewayId}, public); err != nil {
		return err
	}
	nat, err := n.nat(public[0])
	if err != nil {
		return err
	}
	return n.route(&ec2.CreateRouteInput{NatGatewayId: &nat}, n.private)
}

func (n *networkTeam) subnet(zone string, block int, role string) (string, error) {
	out, err := n.api.CreateSubnet(n.ctx, &ec2.CreateSubnetInput{
		VpcId: &n.vpc, AvailabilityZone: aws.String(n.region + zone), CidrBlock: aws.String(fmt.Sprintf("172.20.%d.0/22", 4*block)),
		TagSpecifications: []ec2types.TagSpecification{{
			ResourceType: ec2types.ResourceTypeSubnet, Tags: []ec2types.Tag{{Key: &role, Value: aws.String("1")}},
		}},
	})
	if err != nil {
		return "", err
	}
	return *out.Subnet.SubnetId, nil
}

// nat makes a NAT gateway and waits until it can be used.
func (n *networkTeam) nat(subnet string) (string, error) {
	address, err := n.api.AllocateAddress(n.ctx, &ec2.AllocateAddressInput{Domain: ec2types.DomainTypeVpc})
	if err != nil {
		return "", err
	}
	out, err := n.api.CreateNatGateway(n.ctx, &ec2.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: address.AllocationId})
	if err != nil {
		return "", err
	}
	id := *out.NatGateway.NatGatewayId
	wait := ec2.NewNatGatewayAvailableWaiter(n.api, func(o *ec2.NatGatewayAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = natPoll, natPoll })
	return id, wait.Wait(n.ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}}, natLimit)
}

// route makes a route table whose default route is in, for some subnets.
func (n *networkTeam) route(in *ec2.CreateRouteInput, subnets []string) error {
	table, err := n.api.CreateRouteTable(n.ctx, &ec2.CreateRouteTableInput{VpcId: &n.vpc})
	if err != nil {
		return err
	}
	in.RouteTableId, in.DestinationCidrBlock = table.RouteTable.RouteTableId, aws.String("0.0.0.0/0")
	if _, err := n.api.CreateRoute(n.ctx, in); err != nil {
		return err
	}
	for _, id := range subnets {
		_, err := n.api.AssociateRouteTable(n.ctx, &ec2.AssociateRouteTableInput{RouteTableId: table.RouteTable.RouteTableId, SubnetId: &id})
		if err != nil {
			return err
		}
	}
	return nil
}
