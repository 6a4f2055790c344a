package server

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/wire"
)

// fleetNeeds is what a fleet takes: CreateFleet and RunInstances on all that its
// instances are made of and stand on, and CreateTags on what is tagged when it is
// made (EC2 User Guide, "EC2 Fleet prerequisites"). What the launch templates tag is
// tagged by the caller, too.
func (c *Cloud) fleetNeeds(call wire.Call, in *ec2.CreateFleetInput) []need {
	made := map[string]map[string]string{"fleet": {}, "instance": {}, "volume": {}, "network-interface": {}}
	for kind := range made {
		made[kind] = specifiedTags(call.Input, kind)
	}
	if t := in.TargetCapacitySpecification; t != nil && t.DefaultTargetCapacityType == types.DefaultTargetCapacityTypeSpot {
		made["spot-instances-request"] = specifiedTags(call.Input, "spot-instances-request")
	}
	named := map[string]string{}  // id: kind
	profiles := map[string]bool{} // whose roles are handed to EC2
	for _, config := range in.LaunchTemplateConfigs {
		if spec := config.LaunchTemplateSpecification; spec != nil {
			t, err := c.services.ec2.LaunchTemplate(call.Region, aws.ToString(spec.LaunchTemplateId)+aws.ToString(spec.LaunchTemplateName), aws.ToString(spec.Version))
			if err != nil {
				continue
			}
			named[t.ID] = "launch-template"
			templateNames(t.Data, named)
			profiles[templateProfile(t.Data)] = true
			for _, s := range t.Data.TagSpecifications {
				for _, tag := range s.Tags {
					if made[string(s.ResourceType)] != nil {
						made[string(s.ResourceType)][aws.ToString(tag.Key)] = aws.ToString(tag.Value)
					}
				}
			}
		}
		for _, o := range config.Overrides {
			for id, kind := range map[*string]string{o.SubnetId: "subnet", o.ImageId: "image"} {
				if id != nil {
					named[*id] = kind
				}
			}
		}
	}
	var list []need
	for _, action := range []string{"ec2:CreateFleet", "ec2:RunInstances"} {
		for _, kind := range slices.Sorted(maps.Keys(made)) {
			if kind != "fleet" || action == "ec2:CreateFleet" {
				list = append(list, needs(action, tagContext(made[kind]), ec2ARN(call.Region, kind, "*"))...)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(named)) {
			keys := tagContext(nil)
			setTags(keys, "aws:ResourceTag/", c.services.ec2.Tags(call.Region, id))
			setTags(keys, "ec2:ResourceTag/", c.services.ec2.Tags(call.Region, id))
			list = append(list, needs(action, keys, ec2ARN(call.Region, named[id], id))...)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(made)) {
		if tags := made[kind]; len(tags) > 0 {
			keys := tagContext(tags)
			keys.Set("ec2:CreateAction", "CreateFleet")
			list = append(list, needs("ec2:CreateTags", keys, ec2ARN(call.Region, kind, "*"))...)
		}
	}
	for _, profile := range slices.Sorted(maps.Keys(profiles)) {
		list = append(list, c.passProfile(profile)...)
	}
	return list
}

// passProfile is what it takes to start an instance with an instance profile: its
// role is handed to EC2 (IAM User Guide, "Grant a user permissions to pass a role to
// an AWS service").
func (c *Cloud) passProfile(nameOrARN string) []need {
	if nameOrARN == "" {
		return nil
	}
	role, ok := c.services.iam.InstanceProfile(nameOrARN)
	if !ok || role == "" {
		return nil // EC2 refuses it
	}
	return needs("iam:PassRole", iam.Context{"iam:passedtoservice": {"ec2.amazonaws.com"}}, c.roleARN(role))
}

// templateProfile is the name or ARN of the instance profile in a template's data.
func templateProfile(data types.ResponseLaunchTemplateData) string {
	if p := data.IamInstanceProfile; p != nil {
		return aws.ToString(p.Arn) + aws.ToString(p.Name)
	}
	return ""
}

// templateNames adds what a template's data names.
func templateNames(data types.ResponseLaunchTemplateData, named map[string]string) {
	for _, id := range data.SecurityGroupIds {
		named[id] = "security-group"
	}
	for _, n := range data.NetworkInterfaces {
		for _, id := range n.Groups {
			named[id] = "security-group"
		}
	}
	if data.ImageId != nil {
		named[*data.ImageId] = "image"
	}
}
