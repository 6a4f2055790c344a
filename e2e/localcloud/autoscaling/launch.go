package autoscaling

import (
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"aicluster/e2e/localcloud/ec2"
)

// launchSpec is the request to EC2 for one instance of a group.
func launchSpec(subnet ec2.Subnet, market, kind string, spec types.LaunchTemplateSpecification, tags map[string]string) ec2.LaunchSpec {
	template := deref(spec.LaunchTemplateId)
	if template == "" {
		template = deref(spec.LaunchTemplateName)
	}
	version := deref(spec.Version)
	if version == "" {
		version = "$Default"
	}
	return ec2.LaunchSpec{
		Type: kind, SubnetID: subnet.ID, Market: market,
		Template: template, TemplateVersion: version, Tags: tags,
	}
}
