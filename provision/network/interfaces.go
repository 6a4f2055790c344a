package network

import (
	"cmp"
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

// The marks of interfaces: the VPC CNI's tags and description (its
// pkg/awsutils), and the descriptions that AWS's services give theirs.
const (
	cniDescription = "aws-K8S-"
	cniCluster     = "cluster.k8s.amazonaws.com/name"
	cniOwner       = "eks:eni:owner"
	eksDescription = "Amazon EKS "     // and the cluster's name
	elbDescription = "ELB "            // and "net/NAME/HASH", or a classic load balancer's name
	eksGroup       = "eks-cluster-sg-" // and the cluster's name, and a number
)

func (l leftovers) interfaces(ctx context.Context) ([]types.NetworkInterface, error) {
	filter := cloud.Filter("vpc-id", l.vpcID)
	switch {
	case len(l.subnetIDs) > 0:
		filter = cloud.Filter("subnet-id", l.subnetIDs...)
	case l.vpcID == "":
		return nil, nil
	}
	var found []types.NetworkInterface
	pages := ec2.NewDescribeNetworkInterfacesPaginator(l.api, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range page.NetworkInterfaces {
			if !l.mapped || i.Association != nil {
				found = append(found, i)
			}
		}
	}
	return found, nil
}

// ofCNI tells that the VPC CNI made an interface, for this cluster or, in a
// network of our own, for any.
func (l leftovers) ofCNI(i types.NetworkInterface) bool {
	tags := cloud.FromEC2(i.TagSet)
	if !l.all {
		return tags[cniCluster] == l.cluster
	}
	return strings.HasPrefix(aws.ToString(i.Description), cniDescription) || tags[cniOwner] != "" || tags[cniCluster] != ""
}

// abandoned tells that an interface is one that the VPC CNI left behind.
func (l leftovers) abandoned(i types.NetworkInterface) bool {
	return i.Status == types.NetworkInterfaceStatusAvailable && l.ofCNI(i)
}

// foreign lists the interfaces, of those found in a network of our own, that are
// somebody else's: waiting for them is of no use. The cluster's own and those of
// load balancers that are gone follow what they belonged to.
func (l leftovers) foreign(ctx context.Context, found []types.NetworkInterface) ([]types.NetworkInterface, error) {
	var standing []string
	if slices.ContainsFunc(found, func(i types.NetworkInterface) bool { return elbName(i) != "" }) {
		balancers, err := l.elb.balancers(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range balancers {
			standing = append(standing, b.plug())
		}
	}
	return slices.DeleteFunc(slices.Clone(found), func(i types.NetworkInterface) bool {
		if name := elbName(i); name != "" {
			return !slices.Contains(standing, name)
		}
		return l.ofCNI(i) || l.ofControlPlane(i) || i.InterfaceType == types.NetworkInterfaceTypeNatGateway
	}), nil
}

// elbName is the load balancer that an interface belongs to, or empty.
func elbName(i types.NetworkInterface) string {
	name, _ := strings.CutPrefix(aws.ToString(i.Description), elbDescription)
	if name == aws.ToString(i.Description) {
		return ""
	}
	return name
}

// ofControlPlane tells that an interface is the control plane's or a node's,
// which are in the security group that EKS makes for a cluster.
func (l leftovers) ofControlPlane(i types.NetworkInterface) bool {
	return aws.ToString(i.Description) == eksDescription+l.cluster ||
		slices.ContainsFunc(i.Groups, func(g types.GroupIdentifier) bool {
			number, ok := strings.CutPrefix(aws.ToString(g.GroupName), eksGroup+l.cluster+"-")
			return ok && !strings.Contains(number, "-")
		})
}

// How long a deletion waits for strangers: for somebody else's, in case that somebody
// is removing it just now; for the cluster's own, which do not go by themselves, only
// in case that they are gone and EC2 still lists them.
const (
	foreignLimit = 20 * time.Second
	lateLimit    = 5 * time.Second
)

func patience(strangers []stranger) time.Duration {
	if slices.ContainsFunc(strangers, func(s stranger) bool { return s.late }) {
		return lateLimit
	}
	return foreignLimit
}

// clear deletes what the VPC CNI left and calls remove until nothing holds the
// resource any more, for at most limit, or as long as strangers deserve.
func (l leftovers) clear(ctx context.Context, limit time.Duration, p engine.Progress, remove func(context.Context) error) error {
	start := time.Now()
	var met time.Time // since when strangers have been seen
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		strangers, err := l.sweep(ctx, p)
		if err == nil {
			err = remove(ctx)
		}
		if !cloud.IsDependency(err) {
			return true, err
		}
		switch {
		case len(strangers) == 0:
			met = time.Time{}
		case met.IsZero():
			met = time.Now()
		case time.Since(met) >= patience(strangers):
			return true, err
		}
		if time.Since(start) >= limit {
			return true, err
		}
		return false, nil
	})
}

// sweep deletes the abandoned interfaces of a network of our own, says what else
// stands there, and lists the strangers.
func (l leftovers) sweep(ctx context.Context, p engine.Progress) ([]stranger, error) {
	found, err := l.interfaces(ctx)
	if err != nil {
		return nil, err
	}
	rest, err := l.deleteAbandoned(ctx, found, p)
	if err != nil {
		return nil, err
	}
	foreign, err := l.foreign(ctx, rest)
	if err != nil {
		return nil, err
	}
	strangers, err := l.strangers(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range foreign {
		strangers = append(strangers, describeForeign(i))
	}
	if len(strangers) > 0 { // they matter more than what goes by itself
		p("held by %s", strangers[0])
		return strangers, nil
	}
	for _, i := range rest {
		p("waiting for %s to go", nameInterface(i))
	}
	return nil, nil
}

// deleteAbandoned deletes the abandoned interfaces among those found and returns
// the others.
func (l leftovers) deleteAbandoned(ctx context.Context, found []types.NetworkInterface, p engine.Progress) ([]types.NetworkInterface, error) {
	var rest []types.NetworkInterface
	for _, i := range found {
		if !l.abandoned(i) {
			rest = append(rest, i)
			continue
		}
		p("deleting %s, which the VPC CNI left", aws.ToString(i.NetworkInterfaceId))
		_, err := l.api.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: i.NetworkInterfaceId})
		if err != nil && !cloud.IsNotFound(err) && cloud.Code(err) != "InvalidParameterValue" { // that code: attached again in between
			return nil, err
		}
	}
	return rest, nil
}

// nameInterface says which interface it is and what for: "eni-0abc (ELB net/k8s-…)".
func nameInterface(i types.NetworkInterface) string {
	return aws.ToString(i.NetworkInterfaceId) + " (" + cmp.Or(aws.ToString(i.Description), string(i.InterfaceType), "no description") + ")"
}

// describeForeign also says whose an interface is: the instance that it is
// plugged into, the AWS service that made it, or the account.
func describeForeign(i types.NetworkInterface) stranger {
	owner := "account " + aws.ToString(i.OwnerId)
	switch {
	case i.Attachment != nil && aws.ToString(i.Attachment.InstanceId) != "":
		owner = "instance " + *i.Attachment.InstanceId
	case aws.ToBool(i.RequesterManaged) && aws.ToString(i.RequesterId) != "":
		owner = *i.RequesterId
	}
	return stranger{name: nameInterface(i) + " of " + owner}
}
