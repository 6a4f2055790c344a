package iam

import "strings"

// managedDocument is the document of one of AWS's managed policies. Most contents are
// not known here: all but AdministratorAccess and those of [ebsDocument] allow nothing.
func managedDocument(arn string) string {
	if strings.HasSuffix(arn, "/AdministratorAccess") {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	}
	if text := ebsDocument(arn); text != "" {
		return text
	}
	return `{"Version":"2012-10-17","Statement":[]}`
}

// managedPolicies lists the ARNs of AWS's managed policies that clusters and
// their tools use (AWS Managed Policy Reference).
func managedPolicies() []string {
	names := strings.Fields(`
		AdministratorAccess PowerUserAccess ReadOnlyAccess
		AmazonEKSClusterPolicy AmazonEKSVPCResourceController AmazonEKSServicePolicy
		AmazonEKSWorkerNodePolicy AmazonEKSWorkerNodeMinimalPolicy AmazonEKS_CNI_Policy
		AmazonEKSComputePolicy AmazonEKSBlockStoragePolicy AmazonEKSBlockStoragePolicyV2
		AmazonEKSLoadBalancingPolicy AmazonEKSNetworkingPolicy
		AmazonEKSFargatePodExecutionRolePolicy AmazonEKSLocalOutpostClusterPolicy
		AmazonEC2ContainerRegistryReadOnly AmazonEC2ContainerRegistryPullOnly AmazonEC2ContainerRegistryPowerUser
		AmazonEC2ContainerRegistryFullAccess
		AmazonSSMManagedInstanceCore AmazonSSMPatchAssociation CloudWatchAgentServerPolicy
		AmazonEC2FullAccess AmazonEC2ReadOnlyAccess AmazonVPCFullAccess AmazonVPCReadOnlyAccess
		AmazonS3FullAccess AmazonS3ReadOnlyAccess AutoScalingFullAccess AutoScalingReadOnlyAccess
		ElasticLoadBalancingFullAccess ElasticLoadBalancingReadOnly
		CloudWatchFullAccess CloudWatchLogsFullAccess CloudWatchReadOnlyAccess IAMFullAccess IAMReadOnlyAccess
		AmazonElasticFileSystemFullAccess AmazonElasticFileSystemReadOnlyAccess
		service-role/AmazonEBSCSIDriverPolicy AmazonEBSCSIDriverPolicyV2
		service-role/AmazonEFSCSIDriverPolicy service-role/AmazonEC2RoleforSSM
		service-role/AmazonEKSNodeMonitoringAgentPolicy
		aws-service-role/AmazonEKSServiceRolePolicy aws-service-role/AWSServiceRoleForAmazonEKSNodegroup
		aws-service-role/AutoScalingServiceRolePolicy aws-service-role/AWSEC2SpotServiceRolePolicy
		aws-service-role/AWSEC2SpotFleetServiceRolePolicy aws-service-role/AWSElasticLoadBalancingServiceRolePolicy
		aws-service-role/AmazonElasticFileSystemServiceRolePolicy`)
	for i, n := range names {
		names[i] = "arn:aws:iam::aws:policy/" + n
	}
	return names
}
