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

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// leftovers are the things that Kubernetes' controllers made in a VPC and did
// not take away: interfaces of the VPC CNI (amazon-vpc-cni-k8s #69, #608, #1223)
// and security groups of load balancers. They keep subnets and VPC from going.
type leftovers struct {
	api       API
	elb       LoadBalancerAPI // not needed in somebody else's VPC
	cluster   string
	vpcID     string
	subnetIDs []string
	mapped    bool // only interfaces with a public address
	all       bool // the network is ours alone: any cluster's leftovers in it are
}

// The tags of what controllers make for a cluster: the AWS load balancer
// controller, and EKS itself.
const (
	lbcCluster = "elbv2.k8s.aws/cluster"
	eksCluster = "aws:eks:cluster-name"
)

// madeFor tells by its tags that a load balancer controller, Kubernetes' own or
// AWS's, made something for a cluster.
func madeFor(cluster string, tags map[string]string) bool {
	return tags["kubernetes.io/cluster/"+cluster] == "owned" || tags[lbcCluster] == cluster
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
	return madeFor(l.cluster, tags) || tags[eksCluster] == l.cluster
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
		p("deleting security group %s, which EKS or a load balancer left", aws.ToString(g.GroupName))
		_, err := l.api.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
		if err != nil && !cloud.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// explain makes an error of err that says what still holds the resource.
func (l leftovers) explain(ctx context.Context, id, doing string, err error) error {
	if !cloud.IsDependency(err) {
		return cloud.Wrap(id, doing, err)
	}
	holders, foreign := l.holders(ctx)
	if len(holders) == 0 {
		return cloud.Wrap(id, doing, err)
	}
	hint := "wait until AWS has taken it away, or delete it if it is not the cluster's; then run 'aicluster teardown' again"
	if foreign {
		hint = "remove by hand what is not this cluster's, then run 'aicluster teardown' again"
	}
	return &cloud.Error{
		Resource: id, Doing: doing, Code: cloud.Code(err), Err: err, Hint: hint,
		Message: fmt.Sprintf("%s It is held by %s.", cloud.Message(err), strings.Join(holders, "; ")),
	}
}
