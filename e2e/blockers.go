package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	efstypes "github.com/aws/aws-sdk-go-v2/service/efs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/rogpeppe/go-internal/testscript"
)

// How often and how long a blocker is waited for.
const (
	blockerPoll  = 100 * time.Millisecond
	blockerLimit = time.Minute
)

// cmdBlocker puts something that is not the cluster's into the VPC of a cluster:
// "blocker KIND REGION CLUSTER", where KIND is
//
//	instance       an instance in a private subnet
//	interface      an interface that is attached to nothing
//	mounttarget    an EFS file system with a mount target
//	securitygroup  a group whose rule refers to the cluster's security group
//	endpoint       an interface endpoint
//
// Its id goes into the variable BLOCKER. It counts as part of what was there at
// the start, so that emptied fails if it is gone.
func cmdBlocker(ts *testscript.TestScript, neg bool, args []string) {
	kinds := map[string]func(*blocker) (string, error){
		"instance": (*blocker).instance, "interface": (*blocker).networkInterface, "mounttarget": (*blocker).mountTarget,
		"securitygroup": (*blocker).securityGroup, "endpoint": (*blocker).endpoint,
	}
	if neg || len(args) != 3 || kinds[args[0]] == nil {
		ts.Fatalf("usage: blocker instance|interface|mounttarget|securitygroup|endpoint REGION CLUSTER")
	}
	f := of(ts)
	before, err := f.inventory()
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), blockerLimit)
	defer cancel()
	b := &blocker{ctx: ctx, cloud: f.cloud, region: args[1], ec2: ec2.NewFromConfig(f.config(args[1]))}
	ts.Check(b.find(args[2]))
	id, err := kinds[args[0]](b)
	ts.Check(err)
	ts.Setenv("BLOCKER", id)
	after, err := f.inventory()
	ts.Check(err)
	made := slices.DeleteFunc(after, func(line string) bool { return slices.Contains(before, line) })
	start := ts.ReadFile(startInventory) + strings.Join(made, "\n") + "\n"
	ts.Check(os.WriteFile(ts.MkAbs(startInventory), []byte(start), 0o644))
}

// blocker makes things in a cluster's VPC.
type blocker struct {
	ctx                 context.Context
	cloud               *cloud
	region, vpc, subnet string
	cluster             string
	ec2                 *ec2.Client
}

// find looks for the cluster's VPC by its tag, and for one of its private subnets.
func (b *blocker) find(cluster string) error {
	b.cluster = cluster
	vpcs, err := b.ec2.DescribeVpcs(b.ctx, &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{ec2Filter("tag:"+ownershipTag, cluster)}})
	if err != nil {
		return err
	}
	if len(vpcs.Vpcs) != 1 {
		return fmt.Errorf("cluster %s has %d VPCs in %s, wanted one", cluster, len(vpcs.Vpcs), b.region)
	}
	b.vpc = *vpcs.Vpcs[0].VpcId
	subnets, err := b.ec2.DescribeSubnets(b.ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{ec2Filter("vpc-id", b.vpc), ec2Filter("map-public-ip-on-launch", "false")}})
	if err != nil {
		return err
	}
	if len(subnets.Subnets) == 0 {
		return fmt.Errorf("%s has no private subnet", b.vpc)
	}
	b.subnet = *subnets.Subnets[0].SubnetId
	return nil
}

// named are the tags of a blocker.
func (b *blocker) named(kind ec2types.ResourceType) []ec2types.TagSpecification {
	return []ec2types.TagSpecification{{ResourceType: kind, Tags: []ec2types.Tag{{Key: aws.String("Name"), Value: aws.String("somebody-elses")}}}}
}

func (b *blocker) instance() (string, error) {
	image, err := ssm.NewFromConfig(b.cloud.config(b.region)).GetParameter(b.ctx, &ssm.GetParameterInput{
		Name: aws.String("/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/image_id"),
	})
	if err != nil {
		return "", err
	}
	out, err := b.ec2.RunInstances(b.ctx, &ec2.RunInstancesInput{
		ImageId: image.Parameter.Value, InstanceType: "m6i.large", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &b.subnet,
		TagSpecifications: b.named(ec2types.ResourceTypeInstance),
	})
	if err != nil {
		return "", err
	}
	return *out.Instances[0].InstanceId, nil
}

func (b *blocker) networkInterface() (string, error) {
	out, err := b.ec2.CreateNetworkInterface(b.ctx, &ec2.CreateNetworkInterfaceInput{
		SubnetId: &b.subnet, Description: aws.String("somebody else's"), TagSpecifications: b.named(ec2types.ResourceTypeNetworkInterface),
	})
	if err != nil {
		return "", err
	}
	return *out.NetworkInterface.NetworkInterfaceId, nil
}

func (b *blocker) mountTarget() (string, error) {
	api := efs.NewFromConfig(b.cloud.config(b.region))
	system, err := api.CreateFileSystem(b.ctx, &efs.CreateFileSystemInput{
		CreationToken: aws.String("somebody-elses"), Tags: []efstypes.Tag{{Key: aws.String("Name"), Value: aws.String("somebody-elses")}},
	})
	if err != nil {
		return "", err
	}
	for {
		have, err := api.DescribeFileSystems(b.ctx, &efs.DescribeFileSystemsInput{FileSystemId: system.FileSystemId})
		if err != nil {
			return "", err
		}
		if have.FileSystems[0].LifeCycleState == efstypes.LifeCycleStateAvailable {
			break
		}
		select {
		case <-b.ctx.Done():
			return "", b.ctx.Err()
		case <-time.After(blockerPoll):
		}
	}
	out, err := api.CreateMountTarget(b.ctx, &efs.CreateMountTargetInput{FileSystemId: system.FileSystemId, SubnetId: &b.subnet})
	if err != nil {
		return "", err
	}
	return *out.MountTargetId, nil
}

func (b *blocker) securityGroup() (string, error) {
	out, err := b.ec2.CreateSecurityGroup(b.ctx, &ec2.CreateSecurityGroupInput{
		VpcId: &b.vpc, GroupName: aws.String("somebody-elses"), Description: aws.String("of somebody else"), TagSpecifications: b.named(ec2types.ResourceTypeSecurityGroup),
	})
	if err != nil {
		return "", err
	}
	groups, err := b.ec2.DescribeSecurityGroups(b.ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{ec2Filter("vpc-id", b.vpc), ec2Filter("tag:aws:eks:cluster-name", b.cluster)}})
	if err != nil {
		return "", err
	}
	// EC2 knows a new group everywhere only after a while.
	wait := ec2.NewSecurityGroupExistsWaiter(b.ec2, func(o *ec2.SecurityGroupExistsWaiterOptions) { o.MinDelay, o.MaxDelay = blockerPoll, blockerPoll })
	if err := wait.Wait(b.ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*out.GroupId}}, blockerLimit); err != nil {
		return "", err
	}
	for _, g := range groups.SecurityGroups {
		_, err := b.ec2.AuthorizeSecurityGroupIngress(b.ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: out.GroupId, IpPermissions: []ec2types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: g.GroupId}}}},
		})
		if err != nil {
			return "", err
		}
	}
	return *out.GroupId, nil
}

func (b *blocker) endpoint() (string, error) {
	out, err := b.ec2.CreateVpcEndpoint(b.ctx, &ec2.CreateVpcEndpointInput{
		VpcId: &b.vpc, VpcEndpointType: ec2types.VpcEndpointTypeInterface, ServiceName: aws.String("com.amazonaws." + b.region + ".ecr.api"),
		SubnetIds: []string{b.subnet}, PrivateDnsEnabled: aws.Bool(false), TagSpecifications: b.named(ec2types.ResourceTypeVpcEndpoint),
	})
	if err != nil {
		return "", err
	}
	return *out.VpcEndpoint.VpcEndpointId, nil
}
