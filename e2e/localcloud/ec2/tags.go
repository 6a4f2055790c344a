package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// Limits of the page "Tag your Amazon EC2 resources".
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

func registerTags(w *wire.Server, a api) {
	handle(w, a.CreateTags)
	handle(w, a.DeleteTags)
	handle(w, a.DescribeTags)
}

// sdkTags lists a resource's tags by key, as calls see them.
func (r *region) sdkTags(id string) []types.Tag {
	tags := r.seenTags(id)
	list := make([]types.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}

// specified takes the tags for a resource type from a create call's tag
// specifications; other types than those allowed are refused.
func specified(specs []types.TagSpecification, allowed ...types.ResourceType) (map[types.ResourceType]map[string]string, error) {
	all := map[types.ResourceType]map[string]string{}
	for _, spec := range specs {
		if !slices.Contains(allowed, spec.ResourceType) {
			return nil, invalidValue("'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		if len(spec.Tags) == 0 {
			return nil, invalidValue("Tag specification must have at least one tag")
		}
		if all[spec.ResourceType] != nil {
			return nil, invalidValue("Duplicate resource type '%s' in tag specifications.", spec.ResourceType)
		}
		tags, err := checkTags(spec.Tags, nil)
		if err != nil {
			return nil, err
		}
		all[spec.ResourceType] = tags
	}
	return all, nil
}

// tagsFor is specified for calls that make one type of resource.
func tagsFor(kind types.ResourceType, specs []types.TagSpecification) (map[string]string, error) {
	all, err := specified(specs, kind)
	return all[kind], err
}

// checkTags merges new tags into those that a resource has, by AWS's rules.
func checkTags(tags []types.Tag, have map[string]string) (map[string]string, error) {
	merged := maps.Clone(have)
	if merged == nil {
		merged = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range tags {
		k, v := aws.ToString(t.Key), aws.ToString(t.Value)
		switch {
		case k == "":
			return nil, invalidValue("Tag key cannot be null or empty.")
		case seen[k]:
			return nil, invalidValue("Duplicate tag key '%s' specified.", k)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return nil, invalidValue("Tag keys starting with 'aws:' are reserved for internal use")
		case len([]rune(k)) > maxTagKey:
			return nil, invalidValue("Tag key exceeds the maximum length of %d characters", maxTagKey)
		case len([]rune(v)) > maxTagValue:
			return nil, invalidValue("Tag value exceeds the maximum length of %d characters", maxTagValue)
		}
		seen[k], merged[k] = true, v
	}
	own := 0
	for k := range merged {
		if !strings.HasPrefix(k, "aws:") { // AWS's own do not count
			own++
		}
	}
	if own > maxTags {
		return nil, fail("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return merged, nil
}

// resource tells the type of the resource with this id; an error if there is none.
func (r *region) resource(id string) (types.ResourceType, error) {
	var err error
	var t types.ResourceType
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "vpc":
		t, err = exists(r.vpcs, kindVPC, id, types.ResourceTypeVpc)
	case "subnet":
		t, err = exists(r.subnets, kindSubnet, id, types.ResourceTypeSubnet)
	case "igw":
		t, err = exists(r.gateways, kindGateway, id, types.ResourceTypeInternetGateway)
	case "eipalloc":
		t, err = exists(r.addresses, kindAddress, id, types.ResourceTypeElasticIp)
	case "nat":
		t, err = exists(r.nats, kindNAT, id, types.ResourceTypeNatgateway)
	case "rtb":
		t, err = exists(r.routeTables, kindTable, id, types.ResourceTypeRouteTable)
	case "vpce":
		t, err = exists(r.endpoints, kindEndpoint, id, types.ResourceTypeVpcEndpoint)
	case "sg":
		t, err = exists(r.groups, kindGroup, id, types.ResourceTypeSecurityGroup)
	case "eni":
		t, err = exists(r.interfaces, kindInterface, id, types.ResourceTypeNetworkInterface)
	case "lt":
		t, err = exists(r.templates, kindTemplate, id, types.ResourceTypeLaunchTemplate)
	case "i":
		t, err = exists(r.instances, kindInstance, id, types.ResourceTypeInstance)
	case "vol":
		t, err = exists(r.volumes, kindVolume, id, types.ResourceTypeVolume)
	case "cr":
		t, err = exists(r.reservations, kindReserved, id, types.ResourceTypeCapacityReservation)
	case "pg":
		t, err = exists(r.placements, kind{"pg-", "InvalidPlacementGroupId.NotFound", "InvalidPlacementGroupId.Malformed", "The placement group ID '%s' does not exist"}, id, types.ResourceTypePlacementGroup)
	case "acl", "sgr":
		if t = r.derived(id); t == "" {
			err = fail("InvalidID", "The ID '%s' is not valid", id)
		}
	default:
		err = fail("InvalidID", "The ID '%s' is not valid", id)
	}
	return t, err
}

func exists[T any](t *table[T], k kind, id string, kind types.ResourceType) (types.ResourceType, error) {
	_, err := lookup(t, k, &id)
	return kind, err
}

// derived tells the type of resources that live inside others: network ACLs in
// their VPC, rules in their group.
func (r *region) derived(id string) types.ResourceType {
	for _, v := range r.vpcs.all() {
		if v.acl == id {
			return types.ResourceTypeNetworkAcl
		}
	}
	for _, g := range r.groups.all() {
		if slices.ContainsFunc(g.rules, func(rule rule) bool { return rule.id == id }) {
			return types.ResourceTypeSecurityGroupRule
		}
	}
	return ""
}

// CreateTags adds or replaces tags of many resources, all of them or none.
func (a api) CreateTags(ctx context.Context, in *ec2.CreateTagsInput) (*ec2.CreateTagsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	merged := map[string]map[string]string{}
	for _, id := range in.Resources {
		if _, err := r.resource(id); err != nil {
			return nil, err
		}
		tags, err := checkTags(in.Tags, r.tags[id])
		if err != nil {
			return nil, err
		}
		merged[id] = tags
	}
	for id, tags := range merged {
		r.retag(id, tags)
	}
	return &ec2.CreateTagsOutput{}, nil
}

// DeleteTags removes tags by key, and if a value is given only where it is the
// tag's; without any tag it removes all but AWS's.
func (a api) DeleteTags(ctx context.Context, in *ec2.DeleteTagsInput) (*ec2.DeleteTagsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	for _, id := range in.Resources {
		if _, err := r.resource(id); err != nil {
			return nil, err
		}
		tags := r.tagsOf(id)
		maps.DeleteFunc(tags, func(k, v string) bool {
			if strings.HasPrefix(k, "aws:") {
				return false
			}
			return len(in.Tags) == 0 || slices.ContainsFunc(in.Tags, func(t types.Tag) bool {
				return aws.ToString(t.Key) == k && (t.Value == nil || *t.Value == v)
			})
		})
		r.retag(id, tags)
	}
	return &ec2.DeleteTagsOutput{}, nil
}

// DescribeTags lists the tags of all resources.
func (a api) DescribeTags(ctx context.Context, in *ec2.DescribeTagsInput) (*ec2.DescribeTagsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	var all []types.TagDescription
	for _, id := range slices.Sorted(maps.Keys(r.tags)) {
		kind, err := r.resource(id)
		if err != nil {
			continue // gone, but still shown where it was, as a terminated instance
		}
		for _, t := range r.sdkTags(id) {
			all = append(all, types.TagDescription{ResourceId: aws.String(id), ResourceType: kind, Key: t.Key, Value: t.Value})
		}
	}
	known := filters[types.TagDescription]{
		"key":           func(t types.TagDescription) []string { return one(t.Key) },
		"value":         func(t types.TagDescription) []string { return one(t.Value) },
		"resource-id":   func(t types.TagDescription) []string { return one(t.ResourceId) },
		"resource-type": func(t types.TagDescription) []string { return []string{string(t.ResourceType)} },
	}
	kept, err := describe(all, nil, func(t types.TagDescription) *string { return t.ResourceId }, in.Filters, known, func(t types.TagDescription) []types.Tag {
		return []types.Tag{{Key: t.Key, Value: t.Value}}
	})
	return &ec2.DescribeTagsOutput{Tags: kept}, err
}
