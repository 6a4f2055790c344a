package nodepools

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
)

// scalingGroup is the Auto Scaling group behind a node group.
type scalingGroup struct {
	name      string
	desired   int
	instances []Instance
}

// running counts the instances that are in service or on their way there.
func (s *scalingGroup) running() int {
	n := 0
	for _, i := range s.instances {
		switch astypes.LifecycleState(i.State) {
		case astypes.LifecycleStateInService, astypes.LifecycleStatePending, astypes.LifecycleStatePendingWait, astypes.LifecycleStatePendingProceed:
			n++
		}
	}
	return n
}

// inService counts the instances that Auto Scaling has taken into service.
func (s *scalingGroup) inService() int {
	n := 0
	for _, i := range s.instances {
		if astypes.LifecycleState(i.State) == astypes.LifecycleStateInService {
			n++
		}
	}
	return n
}

// readScalingGroup reads the group behind ng, or nil while EKS has not made it.
func readScalingGroup(ctx context.Context, api AutoScalingAPI, ng *types.Nodegroup) (*scalingGroup, error) {
	if ng.Resources == nil || len(ng.Resources.AutoScalingGroups) == 0 {
		return nil, nil
	}
	name := aws.ToString(ng.Resources.AutoScalingGroups[0].Name)
	out, err := api.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil || len(out.AutoScalingGroups) == 0 {
		return nil, err
	}
	group := out.AutoScalingGroups[0]
	s := &scalingGroup{name: name, desired: int(aws.ToInt32(group.DesiredCapacity))}
	for _, i := range group.Instances {
		s.instances = append(s.instances, Instance{
			ID: aws.ToString(i.InstanceId), Type: aws.ToString(i.InstanceType),
			Zone: aws.ToString(i.AvailabilityZone), State: string(i.LifecycleState),
		})
	}
	return s, nil
}

// launch is one attempt of Auto Scaling to launch an instance.
type launch struct {
	id     string
	zone   string // empty when unknown
	failed bool
	words  string // why it failed
}

// recentActivities is how many activities are read: enough for a few tries in
// each zone, in one page.
const recentActivities = 50

// readLaunches lists the latest attempts of a group, newest first.
func readLaunches(ctx context.Context, api AutoScalingAPI, group string) ([]launch, error) {
	out, err := api.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: &group, MaxRecords: aws.Int32(recentActivities),
	})
	if err != nil {
		return nil, err
	}
	var launches []launch
	for _, a := range out.Activities {
		words := aws.ToString(a.StatusMessage)
		l := launch{id: aws.ToString(a.ActivityId), zone: cmp.Or(activityZone(a), cloud.LaunchZone(words)), words: words}
		// A cancelled activity was ended by a later decision of the group, not by a fault.
		l.failed = a.StatusCode == astypes.ScalingActivityStatusCodeFailed
		launches = append(launches, l)
	}
	return launches, nil
}

// activityZone reads the zone out of an activity's details, which are JSON
// (Auto Scaling API reference, Activity).
func activityZone(a astypes.Activity) string {
	var details struct {
		Zone string `json:"Availability Zone"`
	}
	if json.Unmarshal([]byte(aws.ToString(a.Details)), &details) != nil {
		return ""
	}
	return details.Zone
}
