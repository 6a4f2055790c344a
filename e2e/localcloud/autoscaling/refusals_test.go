package autoscaling

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"aicluster/e2e/localcloud/awstest"
)

// What Auto Scaling refuses: status, code and words.
func TestRefusals(t *testing.T) {
	client, s, _ := start(t)
	ctx := t.Context()
	errOf := func(_ any, err error) error { return err }
	if _, err := client.CreateAutoScalingGroup(ctx, newGroup("g", 1, 2, 1, mixed(100, "c6i.xlarge"))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "in service", func() bool { return inService(describe(t, client, "g")) == 1 })
	id, g := describe(t, client, "g").Instances[0].InstanceId, aws.String("g")

	create := func(change func(*as.CreateAutoScalingGroupInput)) error {
		in := newGroup("h", 0, 2, 0, mixed(100, "c6i.xlarge"))
		change(in)
		return errOf(client.CreateAutoScalingGroup(ctx, in))
	}
	sizes := func(lo, hi, desired int32) error {
		return create(func(in *as.CreateAutoScalingGroupInput) {
			in.MinSize, in.MaxSize, in.DesiredCapacity = &lo, &hi, &desired
		})
	}
	template := func(spec types.LaunchTemplateSpecification) error {
		return create(func(in *as.CreateAutoScalingGroupInput) { in.MixedInstancesPolicy, in.LaunchTemplate = nil, &spec })
	}
	desired := func(name string, n int32) error {
		return errOf(client.SetDesiredCapacity(ctx, &as.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: &n}))
	}
	update := func(change func(*as.UpdateAutoScalingGroupInput)) error {
		in := &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: g}
		change(in)
		return errOf(client.UpdateAutoScalingGroup(ctx, in))
	}
	remove := func(name string) error {
		return errOf(client.DeleteAutoScalingGroup(ctx, &as.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name}))
	}
	tags := func(list ...types.Tag) error {
		for i := range list {
			list[i].ResourceId = g
			if list[i].ResourceType == nil {
				list[i].ResourceType = aws.String("auto-scaling-group")
			}
		}
		return errOf(client.CreateOrUpdateTags(ctx, &as.CreateOrUpdateTagsInput{Tags: list}))
	}
	var tags51 []types.Tag
	for i := range 51 {
		tags51 = append(tags51, types.Tag{Key: aws.String(fmt.Sprint(i))})
	}
	const invalid = "ValidationError"
	for _, test := range []struct {
		name        string
		err         error
		status      int
		code, words string
	}{
		{"exists", create(func(in *as.CreateAutoScalingGroupInput) { in.AutoScalingGroupName = g }), 400, "AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name g already exists"},
		{"no name", create(func(in *as.CreateAutoScalingGroupInput) { in.AutoScalingGroupName = aws.String("") }), 400, invalid, "Member must have length greater than or equal to 1"},
		{"max below min", sizes(3, 2, 3), 400, invalid, "Max bound, 2, must be greater than or equal to min bound, 3"},
		{"min below 0", sizes(-1, 2, 0), 400, invalid, "Min bound, -1,"},
		{"desired above max", sizes(1, 2, 3), 400, invalid, "Desired capacity:3 must be between the specified min size:1 and max size:2"},
		{"no subnets", create(func(in *as.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = nil }), 400, invalid, "At least one Availability Zone or VPC Subnet is required."},
		{"no such subnet", create(func(in *as.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = aws.String("none") }), 400, invalid, "The subnet ID 'none' does not exist"},
		{"no launch template", create(func(in *as.CreateAutoScalingGroupInput) { in.MixedInstancesPolicy = nil }), 400, invalid, "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter."},
		{"template and policy", create(func(in *as.CreateAutoScalingGroupInput) {
			in.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("plain")}
		}), 400, invalid, "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter."},
		{"template id and name", template(types.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-0123456789abcdef0"), LaunchTemplateName: aws.String("plain")}), 400, invalid, "Valid requests must contain either launchTemplateId or LaunchTemplateName"},
		{"no such template", template(types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("none")}), 400, invalid, "You must use a valid fully-formed launch template. The specified launch template does not exist."},
		{"template without image", template(types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("imageless")}), 400, invalid, "You must use a valid fully-formed launch template. The request must contain the parameter ImageId"},
		{"tag of AWS", create(func(in *as.CreateAutoScalingGroupInput) { in.Tags = []types.Tag{{Key: aws.String("aws:x")}} }), 400, invalid, "reserved for internal use"},
		{"51 tags", create(func(in *as.CreateAutoScalingGroupInput) { in.Tags = tags51 }), 400, invalid, "At most 50 tags"},

		{"set above max", desired("g", 9), 400, invalid, "New SetDesiredCapacity value 9 is above max value 2 for the AutoScalingGroup."},
		{"set below min", desired("g", 0), 400, invalid, "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup."},
		{"set on nothing", desired("x", 1), 400, invalid, "AutoScalingGroup name not found - AutoScalingGroup 'x' not found"},
		{"update bounds", update(func(in *as.UpdateAutoScalingGroupInput) { in.MinSize = aws.Int32(3) }), 400, invalid, "Max bound, 2, must be greater than or equal to min bound, 3"},
		{"update to no template", update(func(in *as.UpdateAutoScalingGroupInput) {
			in.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("none")}
		}), 400, invalid, "You must use a valid fully-formed launch template."},
		{"shrink below min", errOf(client.TerminateInstanceInAutoScalingGroup(ctx, &as.TerminateInstanceInAutoScalingGroupInput{InstanceId: id, ShouldDecrementDesiredCapacity: aws.Bool(true)})), 400, invalid,
			"Currently, desiredSize equals minSize (1). Terminating instance without replacement will violate group's min size constraint."},
		{"no such instance", errOf(client.TerminateInstanceInAutoScalingGroup(ctx, &as.TerminateInstanceInAutoScalingGroupInput{InstanceId: aws.String("i-0"), ShouldDecrementDesiredCapacity: aws.Bool(true)})), 400, invalid,
			"Instance Id not found - No managed instance found for instance ID: i-0"},
		{"delete with instances", remove("g"), 400, "ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group."},
		{"delete nothing", remove("x"), 400, invalid, "AutoScalingGroup 'x' not found"},
		{"tag twice", tags(types.Tag{Key: aws.String("a")}, types.Tag{Key: aws.String("a")}), 400, invalid, "Duplicate"},
		{"tag something else", tags(types.Tag{Key: aws.String("a"), ResourceType: aws.String("instance")}), 400, invalid, "Invalid resource type 'instance'"},
		{"filter", errOf(client.DescribeAutoScalingGroups(ctx, &as.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"g"}}}})), 400, invalid,
			"Filter type name is not correct. Allowed Filter types are: tag-key tag-value tag:<key>"},
		{"101 a page", errOf(client.DescribeScalingActivities(ctx, &as.DescribeScalingActivitiesInput{AutoScalingGroupName: g, NextToken: aws.String("x")})), 400, "InvalidNextToken", ""},
	} {
		t.Run(test.name, func(t *testing.T) { awstest.Fails(t, test.err, test.status, test.code, test.words) })
	}

	// While something is under way.
	s.mu.Lock()
	s.groups[groupKey{region, "g"}].start("Launching", "", "", "")
	s.mu.Unlock()
	_, err := client.SetDesiredCapacity(ctx, &as.SetDesiredCapacityInput{AutoScalingGroupName: g, DesiredCapacity: aws.Int32(2), HonorCooldown: aws.Bool(true)})
	awstest.Fails(t, err, 400, "ScalingActivityInProgress", "is in progress and blocks this action")
	if err := create(func(in *as.CreateAutoScalingGroupInput) { in.AutoScalingGroupName = aws.String("empty") }); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.groups[groupKey{region, "empty"}].start("Terminating", "", "", "")
	s.mu.Unlock()
	awstest.Fails(t, remove("empty"), 400, "ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")

	for i := range maxGroups - 2 {
		if err := create(func(in *as.CreateAutoScalingGroupInput) { in.AutoScalingGroupName = aws.String(fmt.Sprint("n", i)) }); err != nil {
			t.Fatal(err)
		}
	}
	awstest.Fails(t, create(func(*as.CreateAutoScalingGroupInput) {}), 400, "LimitExceeded", "cannot exceed 500")
}
