package eks

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// The errors carry AWS's words where those are known (from the Terraform AWS
// provider's and eksctl's issue trackers and from moto, which cites real replies).

func invalidParameter(cluster, nodegroup, format string, args ...any) error {
	e := &types.InvalidParameterException{Message: aws.String(fmt.Sprintf(format, args...))}
	if cluster != "" {
		e.ClusterName = &cluster
	}
	if nodegroup != "" {
		e.NodegroupName = &nodegroup
	}
	return e
}

func invalidRequest(cluster, nodegroup, format string, args ...any) error {
	e := &types.InvalidRequestException{Message: aws.String(fmt.Sprintf(format, args...))}
	if cluster != "" {
		e.ClusterName = &cluster
	}
	if nodegroup != "" {
		e.NodegroupName = &nodegroup
	}
	return e
}

func inUse(cluster, nodegroup, format string, args ...any) error {
	e := &types.ResourceInUseException{Message: aws.String(fmt.Sprintf(format, args...))}
	if cluster != "" {
		e.ClusterName = &cluster
	}
	if nodegroup != "" {
		e.NodegroupName = &nodegroup
	}
	return e
}

func notFound(format string, args ...any) error {
	return &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func limitExceeded(format string, args ...any) error {
	return &types.ResourceLimitExceededException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func noCluster(name string) error {
	return &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf("No cluster found for name: %s.", name)), ClusterName: &name}
}

func noNodegroup(cluster, name string) error {
	return &types.ResourceNotFoundException{
		Message: aws.String(fmt.Sprintf("No node group found for name: %s.", name)), ClusterName: &cluster, NodegroupName: &name,
	}
}

func noAddon(cluster, name string) error {
	return &types.ResourceNotFoundException{
		Message: aws.String(fmt.Sprintf("No addon: %s found in cluster: %s", name, cluster)), ClusterName: &cluster, AddonName: &name,
	}
}
