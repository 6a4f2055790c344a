package interruption

import "aicluster/provision/cloud"

// Permissions implements [cloud.Permitted].
func (q *Queue) Permissions(s cloud.Site) []cloud.Permission {
	return permissions(s.ARN("sqs", q.Name()), q.unwanted,
		[]string{"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:DeleteQueue"},
		[]string{"sqs:CreateQueue", "sqs:TagQueue", "sqs:SetQueueAttributes"})
}

// Permissions implements [cloud.Permitted].
func (r *Rule) Permissions(s cloud.Site) []cloud.Permission {
	return permissions(s.ARN("events", "rule/"+r.name()), r.unwanted,
		[]string{"events:DescribeRule", "events:ListTargetsByRule", "events:ListTagsForResource", "events:RemoveTargets", "events:DeleteRule"},
		[]string{"events:PutRule", "events:TagResource", "events:PutTargets"})
}

// permissions are what it takes to remove something, and to make it.
func permissions(arn string, unwanted bool, remove, create []string) []cloud.Permission {
	actions := remove
	if !unwanted {
		actions = append(actions, create...)
	}
	return []cloud.Permission{{Sid: "MakeInterruptionQueue", Resources: []string{arn}, Actions: actions}}
}
