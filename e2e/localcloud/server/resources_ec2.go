package server

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/wire"
)

// ec2Made are the kinds of resources that calls make. They are asked for as
// "any of this kind", since they have no id yet.
var ec2Made = map[string][]string{
	"CreateVpc": {"vpc"}, "CreateSubnet": {"subnet"}, "CreateInternetGateway": {"internet-gateway"}, "CreateNatGateway": {"natgateway"},
	"CreateRouteTable": {"route-table"}, "CreateVpcEndpoint": {"vpc-endpoint"}, "CreateSecurityGroup": {"security-group"},
	"CreateLaunchTemplate": {"launch-template"}, "CreateNetworkInterface": {"network-interface"}, "CreateVolume": {"volume"},
	"AllocateAddress": {"elastic-ip"}, "RunInstances": {"instance", "network-interface", "volume"},
}

// ec2Kinds are the kinds of resources by the prefix of their ids.
var ec2Kinds = map[string]string{
	"vpc": "vpc", "subnet": "subnet", "igw": "internet-gateway", "nat": "natgateway", "rtb": "route-table", "vpce": "vpc-endpoint", "sg": "security-group",
	"eni": "network-interface", "i": "instance", "vol": "volume", "lt": "launch-template", "eipalloc": "elastic-ip", "cr": "capacity-reservation", "ami": "image",
}

// ec2Only are the kinds that count for calls that name further ones.
var ec2Only = map[string]string{"CreateRoute": "route-table", "ReplaceRoute": "route-table", "DeleteRoute": "route-table"}

func ec2ARN(region, kind, id string) string {
	account := wire.AccountID
	if kind == "image" {
		account = "" // it may be anybody's
	}
	return fmt.Sprintf("arn:aws:ec2:%s:%s:%s/%s", region, account, kind, id)
}

// ec2Needs is about each resource that the call makes or names by its id at the
// top of its input. Calls that read know no resources.
func (c *Cloud) ec2Needs(ctx context.Context, call wire.Call, action string) []need {
	if strings.HasPrefix(call.Operation, "Describe") || strings.HasPrefix(call.Operation, "Get") {
		return needs(action, nil, "*")
	}
	if in, ok := call.Input.(*ec2.CreateFleetInput); ok {
		return c.fleetNeeds(call, in)
	}
	var list []need
	for _, kind := range ec2Made[call.Operation] {
		list = append(list, needs(action, tagContext(specifiedTags(call.Input, kind)), ec2ARN(call.Region, kind, "*"))...)
	}
	for _, id := range c.ec2IDs(ctx, call) {
		prefix, _, _ := strings.Cut(id, "-")
		kind := ec2Kinds[prefix]
		if only := ec2Only[call.Operation]; only != "" && kind != only {
			continue
		}
		keys := tagKeys(call.Input)
		setTags(keys, "aws:ResourceTag/", c.services.ec2.Tags(call.Region, id))
		setTags(keys, "ec2:ResourceTag/", c.services.ec2.Tags(call.Region, id))
		list = append(list, needs(action, keys, ec2ARN(call.Region, kind, id))...)
	}
	if len(list) == 0 {
		list = needs(action, tagKeys(call.Input), "*")
	}
	for _, kind := range ec2Made[call.Operation] {
		if tags := specifiedTags(call.Input, kind); len(tags) > 0 {
			keys := tagContext(tags)
			keys.Set("ec2:CreateAction", call.Operation)
			list = append(list, needs("ec2:CreateTags", keys, ec2ARN(call.Region, kind, "*"))...)
		}
	}
	return list
}

// ec2IDs are the ids at the top of an input, and those of what it names otherwise.
func (c *Cloud) ec2IDs(ctx context.Context, call wire.Call) []string {
	var ids []string
	in := reflect.Indirect(reflect.ValueOf(call.Input))
	for i := range in.NumField() {
		if !in.Type().Field(i).IsExported() {
			continue
		}
		switch v := in.Field(i).Interface().(type) {
		case *string:
			ids = append(ids, aws.ToString(v))
		case []string:
			ids = append(ids, v...)
		case *types.LaunchTemplateSpecification:
			if v != nil {
				ids = append(ids, aws.ToString(v.LaunchTemplateId), c.templateID(call.Region, aws.ToString(v.LaunchTemplateName)))
			}
		}
	}
	ids = append(ids, c.templateID(call.Region, stringMember(call.Input, "LaunchTemplateName")))
	if id := stringMember(call.Input, "AssociationId"); strings.HasPrefix(id, "rtbassoc-") {
		ids = append(ids, c.services.ec2.Associated(call.Region, id)...)
	}
	return slices.DeleteFunc(ids, func(id string) bool {
		prefix, digits, ok := strings.Cut(id, "-")
		return !ok || ec2Kinds[prefix] == "" || strings.Trim(digits, "0123456789abcdef") != ""
	})
}

func (c *Cloud) templateID(region, name string) string {
	if name == "" {
		return ""
	}
	t, err := c.services.ec2.LaunchTemplate(region, name, "")
	if err != nil {
		return ""
	}
	return t.ID
}

// specifiedTags are the tags that a call gives to what it makes of one kind.
func specifiedTags(input any, kind string) map[string]string {
	tags := map[string]string{}
	specifications, _ := member(input, "TagSpecifications").([]types.TagSpecification)
	for _, s := range specifications {
		for _, t := range s.Tags {
			if string(s.ResourceType) == kind {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
		}
	}
	return tags
}

// tagContext has the condition keys of tags in a request.
func tagContext(tags map[string]string) iam.Context {
	keys := iam.Context{}
	setTags(keys, "aws:RequestTag/", tags)
	if len(tags) > 0 {
		keys.Set("aws:TagKeys", sortedKeys(tags)...)
	}
	return keys
}
