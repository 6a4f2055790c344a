package identity

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// policyVersion is the version of IAM's policy language, not of a document.
const policyVersion = "2012-10-17"

// The AWS services that act as a cluster's roles.
const (
	eksService  = "eks.amazonaws.com"
	ec2Service  = "ec2.amazonaws.com"
	podsService = "pods.eks.amazonaws.com"
)

// Document is an IAM policy: what a role may do, or who may assume it.
type Document struct {
	Version   string
	Statement []Statement
}

// Statement is one rule of a [Document].
type Statement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Principal map[string]any            `json:",omitempty"`
	Action    []string                  `json:",omitempty"`
	Resource  []string                  `json:",omitempty"`
	Condition map[string]map[string]any `json:",omitempty"` // a value or a list of them
}

// JSON is the document as IAM takes it.
func (d Document) JSON() string {
	text, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("a policy document of strings cannot fail to marshal: %v", err))
	}
	return string(text)
}

// Allow is a document with these statements, all of effect Allow.
func Allow(statements ...Statement) Document {
	for i := range statements {
		statements[i].Effect = "Allow"
	}
	return Document{Version: policyVersion, Statement: statements}
}

// trustService lets a service assume a role.
func trustService(service string, actions ...string) Document {
	return Allow(Statement{Principal: map[string]any{"Service": service}, Action: actions})
}

// TrustPods lets pods assume a role by EKS Pod Identity (EKS user guide,
// "Create IAM role with trust policy required by EKS Pod Identity").
func TrustPods() Document {
	return trustService(podsService, "sts:AssumeRole", "sts:TagSession")
}

// sameDocument tells whether two policies say the same. IAM keeps a document as
// it was sent, but a lone string and a list of one mean the same to it, and the
// order of a list means nothing.
func sameDocument(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(normal(x), normal(y))
}

func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = normal(value)
		}
		return v
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
		slices.SortFunc(v, compareJSON)
		if len(v) == 1 {
			return v[0]
		}
		return v
	}
	return v
}

func compareJSON(a, b any) int {
	x, _ := json.Marshal(a) // what came from JSON goes back to it
	y, _ := json.Marshal(b)
	return slices.Compare(x, y)
}

// ClusterRole is what the EKS control plane acts as (EKS user guide, "Amazon
// EKS cluster IAM role").
func ClusterRole(b *blueprints.Blueprint) RoleSpec {
	return RoleSpec{
		ID:              "role/cluster",
		Name:            roleName(b, "cluster"),
		Region:          b.Metadata.Region,
		Trust:           trustService(eksService, "sts:AssumeRole", "sts:TagSession"),
		PassedTo:        []string{eksService},
		ManagedPolicies: []string{"AmazonEKSClusterPolicy"},
	}
}

// NodeRole is what nodes act as (EKS user guide, "Amazon EKS node IAM role");
// the last policy makes Session Manager's shell work without SSH keys.
func NodeRole(b *blueprints.Blueprint) RoleSpec {
	return RoleSpec{
		ID:       "role/nodes",
		Name:     roleName(b, "nodes"),
		Region:   b.Metadata.Region,
		Trust:    trustService(ec2Service, "sts:AssumeRole"),
		PassedTo: []string{eksService},
		ManagedPolicies: []string{
			"AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy",
			"AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore",
		},
	}
}

// EBSCSIRole is what the EBS CSI driver's controller acts as.
func EBSCSIRole(b *blueprints.Blueprint) RoleSpec {
	return RoleSpec{
		ID:              "role/ebs-csi",
		Name:            roleName(b, "ebs-csi"),
		Region:          b.Metadata.Region,
		Trust:           TrustPods(),
		PassedTo:        []string{podsService},
		ManagedPolicies: []string{"AmazonEBSCSIDriverPolicyV2"},
	}
}

// EFSCSIRole is what the EFS CSI driver's controller acts as.
func EFSCSIRole(b *blueprints.Blueprint) RoleSpec {
	return RoleSpec{
		ID:              "role/efs-csi",
		Name:            roleName(b, "efs-csi"),
		Region:          b.Metadata.Region,
		Trust:           TrustPods(),
		PassedTo:        []string{podsService},
		ManagedPolicies: []string{"service-role/AmazonEFSCSIDriverPolicy"},
	}
}

// AutoscalerRole is what the cluster autoscaler acts as: what it calls where all
// groups are EKS's, which excludes the launch configurations and the choice by
// attributes of its README's policy. It may change the cluster's own Auto Scaling
// groups only, which EKS tags.
func AutoscalerRole(b *blueprints.Blueprint) RoleSpec {
	return RoleSpec{
		ID:       "role/cluster-autoscaler",
		Name:     roleName(b, "cluster-autoscaler"),
		Region:   b.Metadata.Region,
		Trust:    TrustPods(),
		PassedTo: []string{podsService},
		Inline: map[string]Document{"cluster-autoscaler": Allow(
			Statement{
				Sid: "Read",
				Action: []string{
					"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities",
					"ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions",
				},
				Resource: []string{"*"},
			},
			Statement{
				Sid:      "ReadNodeGroups",
				Action:   []string{"eks:DescribeNodegroup"},
				Resource: []string{fmt.Sprintf("arn:%s:eks:%s:*:nodegroup/%s/*", cloud.Partition(b.Metadata.Region), b.Metadata.Region, b.Metadata.Name)},
			},
			Statement{
				Sid:      "Scale",
				Action:   []string{"autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"},
				Resource: []string{"*"},
				Condition: map[string]map[string]any{"StringEquals": {
					"aws:ResourceTag/k8s.io/cluster-autoscaler/" + b.Metadata.Name: "owned",
				}},
			},
		)},
	}
}
