package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// leftovers are the things that Kubernetes' controllers made in a VPC and did
// not take away: interfaces of the VPC CNI (amazon-vpc-cni-k8s #69, #608, #1223)
// and security groups of load balancers. They keep subnets and VPC from going.
type leftovers struct {
	api       API
	cluster   string
	vpcID     string
	subnetIDs []string
	all       bool // the network is ours alone: any cluster's leftovers in it are
}

// The marks of leftovers: the VPC CNI's tags and description (its
// pkg/awsutils), the load balancer controllers' tags.
const (
	cniDescription = "aws-K8S-"
	cniCluster     = "cluster.k8s.amazonaws.com/name"
	cniOwner       = "eks:eni:owner"
	lbcCluster     = "elbv2.k8s.aws/cluster"
	eksCluster     = "aws:eks:cluster-name"
)

func (l leftovers) interfaces(ctx context.Context) ([]types.NetworkInterface, error) {
	filter := cloud.Filter("vpc-id", l.vpcID)
	if len(l.subnetIDs) > 0 {
		filter = cloud.Filter("subnet-id", l.subnetIDs...)
	}
	var found []types.NetworkInterface
	pages := ec2.NewDescribeNetworkInterfacesPaginator(l.api, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, page.NetworkInterfaces...)
	}
	return found, nil
}

// abandoned tells that an interface is one that the VPC CNI left behind.
func (l leftovers) abandoned(i types.NetworkInterface) bool {
	if i.Status != types.NetworkInterfaceStatusAvailable {
		return false
	}
	tags := cloud.FromEC2(i.TagSet)
	if !l.all {
		return tags[cniCluster] == l.cluster
	}
	return strings.HasPrefix(aws.ToString(i.Description), cniDescription) || tags[cniOwner] != "" || tags[cniCluster] != ""
}

// deleteInterfaces deletes the abandoned interfaces and says what else stands there.
func (l leftovers) deleteInterfaces(ctx context.Context, p engine.Progress) error {
	found, err := l.interfaces(ctx)
	if err != nil {
		return err
	}
	for _, i := range found {
		if !l.abandoned(i) {
			p("waiting for %s to go", nameInterface(i))
			continue
		}
		p("deleting %s, which the VPC CNI left", aws.ToString(i.NetworkInterfaceId))
		_, err := l.api.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: i.NetworkInterfaceId})
		if err != nil && !cloud.IsNotFound(err) && cloud.Code(err) != "InvalidParameterValue" { // that code: attached again in between
			return err
		}
	}
	return nil
}

// nameInterface says which interface it is and whose: "eni-0abc (ELB net/k8s-…)".
func nameInterface(i types.NetworkInterface) string {
	name := aws.ToString(i.NetworkInterfaceId)
	if d := aws.ToString(i.Description); d != "" {
		return name + " (" + d + ")"
	}
	return name + " (" + string(i.InterfaceType) + ")"
}

// securityGroups lists the groups that belong to the cluster.
func (l leftovers) securityGroups(ctx context.Context) ([]types.SecurityGroup, error) {
	groups, err := l.groupsOfVPC(ctx)
	return slices.DeleteFunc(groups, func(g types.SecurityGroup) bool { return !l.ofCluster(g) }), err
}

// groupsOfVPC lists the VPC's groups except the default one, which goes with it.
func (l leftovers) groupsOfVPC(ctx context.Context) ([]types.SecurityGroup, error) {
	var found []types.SecurityGroup
	pages := ec2.NewDescribeSecurityGroupsPaginator(l.api, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{cloud.Filter("vpc-id", l.vpcID)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.SecurityGroups {
			if aws.ToString(g.GroupName) != "default" {
				found = append(found, g)
			}
		}
	}
	return found, nil
}

// ofCluster tells that a controller of this cluster, or EKS for it, made a group.
func (l leftovers) ofCluster(g types.SecurityGroup) bool {
	tags := cloud.FromEC2(g.Tags)
	return tags["kubernetes.io/cluster/"+l.cluster] == "owned" || tags[lbcCluster] == l.cluster || tags[eksCluster] == l.cluster
}

// deleteSecurityGroups deletes the cluster's groups. Groups can name each other
// in their rules; all that can go go, and the caller tries again for the rest.
func (l leftovers) deleteSecurityGroups(ctx context.Context, p engine.Progress) error {
	groups, err := l.securityGroups(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range groups {
		p("deleting security group %s, which a load balancer left", aws.ToString(g.GroupName))
		_, err := l.api.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
		if err != nil && !cloud.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// explain makes an error of err that says what still holds the resource.
func (l leftovers) explain(ctx context.Context, id, doing string, err error) error {
	if !cloud.IsDependency(err) || l.vpcID == "" && len(l.subnetIDs) == 0 {
		return cloud.Wrap(id, doing, err)
	}
	holders := l.holders(ctx)
	if len(holders) == 0 {
		return cloud.Wrap(id, doing, err)
	}
	message := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		message = api.ErrorMessage()
	}
	return &cloud.Error{
		Resource: id, Doing: doing, Code: cloud.Code(err), Err: err,
		Message: fmt.Sprintf("%s It is held by %s.", message, strings.Join(holders, ", ")),
		Hint:    "delete what holds it if it is not the cluster's, or wait until AWS has taken it away; then run 'aicluster teardown' again",
	}
}

// holders names the interfaces and security groups that are still there. They
// go into an error, so that a failure to read them is of no interest.
func (l leftovers) holders(ctx context.Context) []string {
	var names []string
	if found, err := l.interfaces(ctx); err == nil {
		for _, i := range found {
			names = append(names, nameInterface(i))
		}
	}
	if len(l.subnetIDs) == 0 {
		if groups, err := l.groupsOfVPC(ctx); err == nil {
			for _, g := range groups {
				names = append(names, fmt.Sprintf("%s (security group %s)", aws.ToString(g.GroupId), aws.ToString(g.GroupName)))
			}
		}
	}
	slices.Sort(names)
	return names
}
