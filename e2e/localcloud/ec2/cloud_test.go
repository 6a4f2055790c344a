package ec2_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
)

// cloud is a local EC2 and the SDK's client of it.
type cloud struct {
	*sdk.Client
	cfg     aws.Config
	t       *testing.T
	ctx     context.Context
	service *ec2.Service
	iam     *iam.Service
}

func newCloud(t *testing.T, speed float64) *cloud {
	c := clock.New(speed)
	identities := iam.New(c)
	s := ec2.New(c, identities)
	t.Cleanup(s.Close)
	cfg := awstest.Start(t, s.Register)
	return &cloud{sdk.NewFromConfig(cfg), cfg, t, context.Background(), s, identities}
}

func tagged(kind types.ResourceType, pairs ...string) []types.TagSpecification {
	spec := types.TagSpecification{ResourceType: kind}
	for i := 0; i < len(pairs); i += 2 {
		spec.Tags = append(spec.Tags, types.Tag{Key: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return []types.TagSpecification{spec}
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

func (c *cloud) vpc(cidr string) string {
	c.t.Helper()
	return *awstest.Must(c.CreateVpc(c.ctx, &sdk.CreateVpcInput{CidrBlock: aws.String(cidr), TagSpecifications: tagged(types.ResourceTypeVpc, "Name", "demo")}))(c.t).Vpc.VpcId
}

func (c *cloud) subnet(vpc, cidr, zone string) string {
	c.t.Helper()
	return *awstest.Must(c.CreateSubnet(c.ctx, &sdk.CreateSubnetInput{VpcId: aws.String(vpc), CidrBlock: aws.String(cidr), AvailabilityZone: aws.String(zone)}))(c.t).Subnet.SubnetId
}

func (c *cloud) gateway(vpc string) string {
	c.t.Helper()
	id := awstest.Must(c.CreateInternetGateway(c.ctx, &sdk.CreateInternetGatewayInput{}))(c.t).InternetGateway.InternetGatewayId
	awstest.Must(c.AttachInternetGateway(c.ctx, &sdk.AttachInternetGatewayInput{InternetGatewayId: id, VpcId: aws.String(vpc)}))(c.t)
	return *id
}

func (c *cloud) image() string {
	id, _, ok := c.service.EKSImage(awstest.Region, "AL2023_x86_64_NVIDIA", "1.35", "")
	if !ok {
		c.t.Fatal("no image")
	}
	return id
}
