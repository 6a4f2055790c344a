package iam

import "strings"

// ebsDocument is the content of the two managed policies of the EBS CSI driver,
// as far as volumes go (AWS Managed
// Policy Reference, AmazonEBSCSIDriverPolicy v14 and AmazonEBSCSIDriverPolicyV2
// v1). It is empty for all others.
func ebsDocument(arn string) string {
	const (
		start = `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["ec2:DescribeAvailabilityZones","ec2:DescribeInstances","ec2:DescribeSnapshots","ec2:DescribeVolumes","ec2:DescribeVolumesModifications","ec2:DescribeVolumeStatus"],"Resource":"*"},
			{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringEquals":{"ec2:CreateAction":["CreateVolume","CreateSnapshot","CopyVolumes"]}}},
			{"Effect":"Allow","Action":"ec2:CreateVolume","Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringEquals":{"aws:RequestTag/ebs.csi.aws.com/cluster":"true"}}},
			{"Effect":"Allow","Action":["ec2:AttachVolume","ec2:DetachVolume"],"Resource":"arn:aws:ec2:*:*:instance/*"},`
		first = `
			{"Effect":"Allow","Action":["ec2:ModifyVolume","ec2:AttachVolume","ec2:DetachVolume"],"Resource":"arn:aws:ec2:*:*:volume/*"},
			{"Effect":"Allow","Action":"ec2:DeleteVolume","Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringLike":{"ec2:ResourceTag/ebs.csi.aws.com/cluster":"true"}}},
			{"Effect":"Allow","Action":"ec2:DeleteVolume","Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringLike":{"ec2:ResourceTag/CSIVolumeName":"*"}}},
			{"Effect":"Allow","Action":"ec2:DeleteVolume","Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringLike":{"ec2:ResourceTag/kubernetes.io/created-for/pvc/name":"*"}}}]}`
		second = `
			{"Effect":"Allow","Action":["ec2:ModifyVolume","ec2:AttachVolume","ec2:DetachVolume","ec2:DeleteVolume"],"Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringEquals":{"ec2:ResourceTag/ebs.csi.aws.com/cluster":"true"}}},
			{"Effect":"Allow","Action":["ec2:ModifyVolume","ec2:AttachVolume","ec2:DetachVolume","ec2:DeleteVolume"],"Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringLike":{"ec2:ResourceTag/kubernetes.io/created-for/pvc/name":"*"}}}]}`
	)
	switch {
	case strings.HasSuffix(arn, ":policy/service-role/AmazonEBSCSIDriverPolicy"):
		return start + first
	case strings.HasSuffix(arn, ":policy/AmazonEBSCSIDriverPolicyV2"):
		return start + second
	}
	return ""
}
