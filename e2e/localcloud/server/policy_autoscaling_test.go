package server

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// A role may be held to the Auto Scaling groups that bear a tag, as the cluster
// autoscaler's is; also by the call that names an instance.
func TestPolicyOnGroupTags(t *testing.T) {
	c, admin := startCloud(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	net, groups := ec2.NewFromConfig(admin), autoscaling.NewFromConfig(admin)
	vpc, err := net.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	subnet, err := net.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: aws.String(Region + "a")})
	if err != nil {
		t.Fatal(err)
	}
	image, _, _ := c.services.ec2.EKSImage(Region, "AL2023_x86_64_STANDARD", "1.35", "")
	if _, err := net.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("demo"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
		ImageId: &image, InstanceType: "m6i.large",
	}}); err != nil {
		t.Fatal(err)
	}
	for name, owner := range map[string]string{"ours": "owned", "theirs": "shared"} {
		if _, err := groups.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(3), DesiredCapacity: aws.Int32(1), VPCZoneIdentifier: subnet.Subnet.SubnetId,
			LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("demo")},
			Tags:           []astypes.Tag{{Key: aws.String("k8s.io/cluster-autoscaler/demo"), Value: &owner}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	instance := func(group string) *string {
		for {
			if g, _ := c.services.autoscaling.Group(Region, group); len(g.Instances) > 0 && g.Instances[0].LifecycleState == astypes.LifecycleStateInService {
				return g.Instances[0].InstanceId
			}
			select {
			case <-ctx.Done():
				t.Fatalf("group %s has no instance", group)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	ours, theirs := instance("ours"), instance("theirs")
	for _, key := range []string{"aws:ResourceTag", "autoscaling:ResourceTag"} {
		as := autoscaling.NewFromConfig(operator(t, admin, `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["autoscaling:DescribeAutoScalingGroups"],"Resource":"*"},
			{"Effect":"Allow","Action":["autoscaling:SetDesiredCapacity","autoscaling:TerminateInstanceInAutoScalingGroup"],"Resource":"*",
			 "Condition":{"StringEquals":{"`+key+`/k8s.io/cluster-autoscaler/demo":"owned"}}}]}`))
		size := func(group string) func() error {
			return func() error {
				_, err := as.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &group, DesiredCapacity: aws.Int32(2)})
				return err
			}
		}
		end := func(instance *string) func() error {
			return func() error {
				_, err := as.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: instance, ShouldDecrementDesiredCapacity: aws.Bool(false)})
				return err
			}
		}
		attempts := []attempt{
			{name: "list", call: func() error {
				_, err := as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
				return err
			}},
			{name: "activities", refused: "not authorized to perform: autoscaling:DescribeScalingActivities", call: func() error {
				_, err := as.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{})
				return err
			}},
			{name: "size of ours", call: size("ours")},
			{name: "size of theirs", refused: "not authorized to perform: autoscaling:SetDesiredCapacity on resource: arn:aws:autoscaling:", call: size("theirs")},
			{name: "instance of theirs", refused: "not authorized to perform: autoscaling:TerminateInstanceInAutoScalingGroup", call: end(theirs)},
			{name: "instance of nobody", refused: "not authorized to perform: autoscaling:TerminateInstanceInAutoScalingGroup", call: end(aws.String("i-0"))},
		}
		if key == "autoscaling:ResourceTag" { // the instance is gone then
			attempts = append(attempts, attempt{name: "instance of ours", call: end(ours)})
		}
		try(t, attempts)
	}
}
