package autoscaling

import (
	"cmp"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"aicluster/e2e/localcloud/wire"
)

// Quotas of an account in a region
// (https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html).
const (
	maxGroups = 500
	maxTags   = 50
)

func checkBounds(lo, hi, desired int32) error {
	switch {
	case lo < 0: // words not found
		return validation("Min bound, %d, must be greater than or equal to 0", lo)
	case hi < lo:
		return validation("Max bound, %d, must be greater than or equal to min bound, %d", hi, lo)
	case desired < lo || desired > hi:
		return validation("Desired capacity:%d must be between the specified min size:%d and max size:%d", desired, lo, hi)
	}
	return nil
}

// resolve finds the launch template of a group, given by itself or in a policy,
// and refuses one that no instance could be launched from: EC2's words follow
// those of Auto Scaling (hashicorp/terraform-provider-aws, the tests of
// aws_autoscaling_group). The group then knows its id and its name.
func (s *Service) resolve(region string, g *group) error {
	spec := g.specification()
	if (spec.LaunchTemplateId == nil) == (spec.LaunchTemplateName == nil) {
		return validation("Valid requests must contain either launchTemplateId or LaunchTemplateName")
	}
	t, err := s.compute.LaunchTemplate(region, cmp.Or(deref(spec.LaunchTemplateId), deref(spec.LaunchTemplateName)), cmp.Or(deref(spec.Version), "$Default"))
	if err != nil {
		words := err.Error()
		if own, ok := errors.AsType[*wire.Error](err); ok {
			words = own.Message
		}
		return validation("You must use a valid fully-formed launch template. %s", words)
	}
	if t.Data.ImageId == nil {
		return validation("You must use a valid fully-formed launch template. The request must contain the parameter ImageId")
	}
	spec.LaunchTemplateId, spec.LaunchTemplateName = aws.String(t.ID), aws.String(t.Name)
	if g.mixed == nil {
		g.template = &spec
		return nil
	}
	policy, template := *g.mixed, *g.mixed.LaunchTemplate
	template.LaunchTemplateSpecification, policy.LaunchTemplate = &spec, &template
	g.mixed = &policy
	return nil
}

// checkTags refuses a request's tags; have is how many the group has beside them
// (API reference of Tag; words not found but for the prefix, which are EC2's).
func checkTags(tags []types.Tag, have int) error {
	seen := map[string]bool{}
	for _, t := range tags {
		switch key := deref(t.Key); {
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return validation("Tag keys starting with 'aws:' are reserved for internal use")
		case seen[key]:
			return validation("Duplicate tag keys are not allowed: %s", key)
		default:
			seen[key] = true
		}
	}
	if have+len(seen) > maxTags {
		return validation("At most %d tags are allowed on an AutoScalingGroup", maxTags)
	}
	return nil
}

// inProgress is the id of an activity that is under way, or empty.
func (g *group) inProgress() string {
	for _, a := range g.activities {
		if a.StatusCode == types.ScalingActivityStatusCodeInProgress {
			return *a.ActivityId
		}
	}
	return ""
}
