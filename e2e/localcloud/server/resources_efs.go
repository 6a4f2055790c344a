package server

import (
	"strings"

	"aicluster/e2e/localcloud/efs"
	"aicluster/e2e/localcloud/wire"
)

// efsNeeds is about a file system, also for the calls that name a mount target.
// A mount target's interface is made with the caller's rights (EFS API reference,
// CreateMountTarget).
func (c *Cloud) efsNeeds(call wire.Call, action string) []need {
	id := stringMember(call.Input, "FileSystemId")
	if id == "" {
		id = stringMember(call.Input, "ResourceId")
	}
	if target := stringMember(call.Input, "MountTargetId"); id == "" && target != "" {
		id, _ = c.services.efs.MountTarget(target)
	}
	resource := efs.ARN(call.Region, id[strings.LastIndexByte(id, '/')+1:])
	switch {
	case call.Operation == "CreateFileSystem":
		resource = efs.ARN(call.Region, "*")
	case id == "":
		resource = "*"
	}
	list := needs(action, tagKeys(call.Input), resource)
	if call.Operation == "CreateMountTarget" {
		list = append(list, needs("ec2:DescribeSubnets", nil, "*")...)
		list = append(list, needs("ec2:DescribeNetworkInterfaces", nil, "*")...)
		list = append(list, needs("ec2:CreateNetworkInterface", nil, ec2ARN(call.Region, "network-interface", "*"))...)
	}
	return append(list, tagging("elasticfilesystem:TagResource", call, tagKeys(call.Input), []string{resource})...)
}
