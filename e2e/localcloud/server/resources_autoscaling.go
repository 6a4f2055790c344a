package server

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"aicluster/e2e/localcloud/wire"
)

// autoscalingNeeds is about a group, also for the call that names an instance of
// one. A policy may look at the group's tags, by the key of all services and by
// that of Auto Scaling (service authorization reference, "Actions, resources, and
// condition keys for Amazon EC2 Auto Scaling"). Calls that describe know no resource.
func (c *Cloud) autoscalingNeeds(call wire.Call, action string) []need {
	keys := tagKeys(call.Input)
	if strings.HasPrefix(call.Operation, "Describe") {
		return needs(action, keys, "*")
	}
	name := stringMember(call.Input, "AutoScalingGroupName")
	if id := stringMember(call.Input, "InstanceId"); name == "" && id != "" {
		name = c.services.autoscaling.GroupOf(call.Region, id)
	}
	if name == "" {
		return needs(action, keys, "*")
	}
	arn := fmt.Sprintf("arn:aws:autoscaling:%s:%s:autoScalingGroup:*:autoScalingGroupName/%s", call.Region, wire.AccountID, name)
	if group, ok := c.services.autoscaling.Group(call.Region, name); ok {
		arn = aws.ToString(group.AutoScalingGroupARN)
		tags := map[string]string{}
		for _, t := range group.Tags {
			tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		setTags(keys, "aws:ResourceTag/", tags)
		setTags(keys, "autoscaling:ResourceTag/", tags)
	}
	return needs(action, keys, arn)
}
