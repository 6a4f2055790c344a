package network

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// balancerGroup is how controllers call the security groups of their load
// balancers: k8s-elb-NAME of a classic one, k8s-NAMESPACE-SERVICE-HASH and
// k8s-traffic-CLUSTER-HASH of the AWS Load Balancer Controller.
const balancerGroup = "k8s-"

// securityGroupLimit bounds the wait for what holds a security group, once the
// load balancers' interfaces are gone.
const securityGroupLimit = 2 * time.Minute

func (l *loadBalancers) inVPC() leftovers {
	return leftovers{api: l.api, elb: l.elb, cluster: l.cluster, vpcID: l.vpc.liveID()}
}

// readSecurityGroups finds the groups that were made for the load balancers.
func (l *loadBalancers) readSecurityGroups(ctx context.Context) error {
	groups, err := l.inVPC().securityGroups(ctx)
	l.securityGroups = slices.DeleteFunc(groups, func(g types.SecurityGroup) bool {
		return !strings.HasPrefix(aws.ToString(g.GroupName), balancerGroup)
	})
	return err
}

// deleteSecurityGroups deletes the load balancers' groups. Rules of the cluster's
// other groups that let traffic in from one would hold it: they go first.
func (l *loadBalancers) deleteSecurityGroups(ctx context.Context, p engine.Progress) error {
	for _, g := range l.securityGroups {
		p("deleting security group %s, which Kubernetes left", aws.ToString(g.GroupName))
		err := cloud.RetryWhile(ctx, securityGroupLimit, cloud.IsDependency, func(ctx context.Context) error {
			_, err := l.api.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
			if !cloud.IsDependency(err) {
				return err
			}
			if revoked := l.revokeReferences(ctx, g); revoked != nil {
				return revoked
			}
			return err
		})
		if err != nil && !cloud.IsNotFound(err) {
			return l.inVPC().explain(ctx, l.ID(), "deleting security group "+aws.ToString(g.GroupName), err)
		}
	}
	return nil
}

// revokeReferences takes the rules about a group out of the cluster's other
// groups. Those of groups that are somebody else's stay.
func (l *loadBalancers) revokeReferences(ctx context.Context, to types.SecurityGroup) error {
	groups, err := l.inVPC().securityGroups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		rules := rulesAbout(aws.ToString(to.GroupId), g.IpPermissions)
		if len(rules) == 0 || aws.ToString(g.GroupId) == aws.ToString(to.GroupId) {
			continue
		}
		_, err := l.api.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: rules})
		if err != nil && !cloud.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// rulesAbout picks the part of rules that names a group: EC2 lists rules of the
// same ports together.
func rulesAbout(groupID string, rules []types.IpPermission) []types.IpPermission {
	var found []types.IpPermission
	for _, r := range rules {
		for _, pair := range r.UserIdGroupPairs {
			if aws.ToString(pair.GroupId) == groupID {
				found = append(found, types.IpPermission{
					IpProtocol: r.IpProtocol, FromPort: r.FromPort, ToPort: r.ToPort, UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: pair.GroupId}},
				})
			}
		}
	}
	return found
}
