package cloud

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// TagCluster is the tag that marks what belongs to a cluster; its value is the
// cluster's name. It is set in the create call itself.
const TagCluster = "aicluster/cluster"

// TagName is the tag that AWS's console shows as a resource's name; ours are
// deterministic, so that a resource is found again by it.
const TagName = "Name"

// Owner is whose resources these are: the cluster's name and the tags that the
// blueprint puts on everything.
type Owner struct {
	Cluster string
	Extra   map[string]string
}

// Tags are the tags of a resource of this owner. name is its Name tag, left out if empty.
func (o Owner) Tags(name string) map[string]string {
	tags := maps.Clone(o.Extra)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[TagCluster] = o.Cluster
	if name != "" {
		tags[TagName] = name
	}
	return tags
}

// EC2Tags converts tags to EC2's type, sorted by key.
func EC2Tags(tags map[string]string) []ec2types.Tag {
	out := make([]ec2types.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, ec2types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}

// EC2TagSpec is the TagSpecifications member of EC2's create calls.
func EC2TagSpec(kind ec2types.ResourceType, tags map[string]string) []ec2types.TagSpecification {
	return []ec2types.TagSpecification{{ResourceType: kind, Tags: EC2Tags(tags)}}
}

// FromEC2 converts EC2's tags to a map.
func FromEC2(tags []ec2types.Tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

// IAMTags converts tags to IAM's type, sorted by key.
func IAMTags(tags map[string]string) []iamtypes.Tag {
	out := make([]iamtypes.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, iamtypes.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}

// Filter is one EC2 filter.
func Filter(name string, values ...string) ec2types.Filter {
	return ec2types.Filter{Name: aws.String(name), Values: values}
}

// OwnedFilters select this owner's resources, and among them the one with that
// Name tag if name is not empty.
func (o Owner) OwnedFilters(name string) []ec2types.Filter {
	f := []ec2types.Filter{Filter("tag:"+TagCluster, o.Cluster)}
	if name != "" {
		f = append(f, Filter("tag:"+TagName, name))
	}
	return f
}

// TagChanges compares live tags with wanted ones: what to set and how to say
// it. Tags that we do not manage are left alone.
func TagChanges(live, wanted map[string]string) map[string]string {
	set := map[string]string{}
	for k, v := range wanted {
		if old, ok := live[k]; !ok || old != v {
			set[k] = v
		}
	}
	return set
}
