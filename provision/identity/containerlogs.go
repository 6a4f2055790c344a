package identity

import (
	"fmt"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// ContainerLogGroup is where the logs of a cluster's containers go: the name that
// Container Insights uses, so that CloudWatch's console finds them
// (CloudWatch user guide, "Container Insights performance log reference").
func ContainerLogGroup(cluster string) string {
	return "/aws/containerinsights/" + cluster + "/application"
}

// ContainerLogsRole is what Fluent Bit acts as. It writes to one log group; that
// it may not make any keeps a late line from making the group again
// (https://docs.fluentbit.io/manual/pipeline/outputs/cloudwatch).
func ContainerLogsRole(b *blueprints.Blueprint) RoleSpec {
	m := b.Metadata
	group := fmt.Sprintf("arn:%s:logs:%s:*:log-group:%s", cloud.Partition(m.Region), m.Region, ContainerLogGroup(m.Name))
	return RoleSpec{
		ID:       "role/container-logs",
		Name:     roleName(b, "container-logs"),
		Region:   m.Region,
		Trust:    TrustPods(),
		PassedTo: []string{podsService},
		Inline: map[string]Document{"container-logs": Allow(Statement{
			Sid: "Write", Action: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, Resource: []string{group, group + ":*"},
		})},
	}
}
