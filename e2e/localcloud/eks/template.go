package eks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/ec2"
)

// makeTemplate makes EKS's own copy of the launch template, "eks-<uuid>", or a
// new version of it: the user's, with the image, the instance profile, the
// cluster's security group and the part of the user data that lets a node join
// (https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html).
func (s *Service) makeTemplate(c *cluster, n *nodegroup) (ec2.Template, error) {
	var data ec2types.RequestLaunchTemplateData
	if n.launch != nil {
		// The two types differ in name only, all the way down.
		raw, err := json.Marshal(n.launch.Data)
		if err != nil {
			return ec2.Template{}, err
		}
		if err := json.Unmarshal(raw, &data); err != nil {
			return ec2.Template{}, err
		}
	}
	data.TagSpecifications = nil // the user's come with the Auto Scaling group's below
	if n.launch != nil {
		for _, t := range n.launch.Data.TagSpecifications {
			data.TagSpecifications = append(data.TagSpecifications, ec2types.LaunchTemplateTagSpecificationRequest{ResourceType: t.ResourceType, Tags: t.Tags})
		}
	}
	if n.ownImage == "" {
		userData, err := s.withClusterPart(c, deref(data.UserData))
		if err != nil {
			return ec2.Template{}, err
		}
		data.UserData = aws.String(userData)
	}
	data.ImageId = aws.String(n.image)
	profile := s.opts.IAM.EnsureInstanceProfile(n.profile, roleName(*n.data.NodeRole))
	data.IamInstanceProfile = &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Arn: aws.String(profile)}
	data.InstanceType = ec2types.InstanceType(n.types[0])
	if len(data.SecurityGroupIds) == 0 && len(data.NetworkInterfaces) == 0 {
		data.SecurityGroupIds = []string{c.group}
	}
	for i := range data.NetworkInterfaces {
		if len(data.NetworkInterfaces[i].Groups) == 0 {
			data.NetworkInterfaces[i].Groups = []string{c.group}
		}
	}
	if len(data.BlockDeviceMappings) == 0 {
		data.BlockDeviceMappings = []ec2types.LaunchTemplateBlockDeviceMappingRequest{{
			DeviceName: aws.String("/dev/xvda"),
			Ebs:        &ec2types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(or(n.data.DiskSize, defaultDiskGiB)), VolumeType: ec2types.VolumeTypeGp3, DeleteOnTermination: aws.Bool(true)},
		}}
	}
	if data.MetadataOptions == nil {
		data.MetadataOptions = &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpPutResponseHopLimit: aws.Int32(2), HttpTokens: ec2types.LaunchTemplateHttpTokensStateRequired,
		}
	}
	if n.template != "" {
		return s.opts.EC2.AddLaunchTemplateVersion(c.key.region, n.template, data)
	}
	return s.opts.EC2.CreateLaunchTemplate(c.key.region, ec2.TemplateSpec{
		Name: "eks-" + uuid.NewString(), Data: data,
		Tags:      map[string]string{"eks:cluster-name": c.key.name, "eks:nodegroup-name": *n.data.NodegroupName},
		CreatedBy: "arn:aws:sts::" + account(*c.data.Arn) + ":assumed-role/AWSServiceRoleForAmazonEKSNodegroup/EKS",
	})
}

// withClusterPart appends EKS's NodeConfig to the parts of the user data.
func (s *Service) withClusterPart(c *cluster, encoded string) (string, error) {
	var parts [][]byte
	if encoded != "" {
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errUserData, err)
		}
		if parts, err = nodeConfigParts(raw, false); err != nil {
			return "", fmt.Errorf("%w: %w", errUserData, err)
		}
	}
	s.mu.Lock()
	parts = append(parts, fmt.Appendf(nil, "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  cluster:\n    name: %s\n    apiServerEndpoint: %s\n    certificateAuthority: %s\n    cidr: %s\n",
		c.key.name, deref(c.data.Endpoint), deref(c.data.CertificateAuthority.Data), deref(c.data.KubernetesNetworkConfig.ServiceIpv4Cidr)))
	s.mu.Unlock()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/node.eks.aws"}})
		if err != nil {
			return "", err
		}
		if _, err := part.Write(p); err != nil {
			return "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	head := fmt.Sprintf("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%q\r\n\r\n", w.Boundary())
	return base64.StdEncoding.EncodeToString(append([]byte(head), body.Bytes()...)), nil
}

// mixedPolicy is how EKS lets the group choose instances: on-demand types in the
// order given, spot by price and capacity
// (https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html).
func (n *nodegroup) mixedPolicy(t ec2.Template) *astypes.MixedInstancesPolicy {
	policy := &astypes.MixedInstancesPolicy{
		InstancesDistribution: &astypes.InstancesDistribution{
			OnDemandAllocationStrategy: aws.String("prioritized"), OnDemandBaseCapacity: aws.Int32(0),
			OnDemandPercentageAboveBaseCapacity: aws.Int32(100), SpotAllocationStrategy: aws.String("price-capacity-optimized"),
		},
		LaunchTemplate: &astypes.LaunchTemplate{LaunchTemplateSpecification: launchSpecification(t)},
	}
	if n.data.CapacityType == types.CapacityTypesSpot {
		policy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity = aws.Int32(0)
	}
	for _, kind := range n.types {
		policy.LaunchTemplate.Overrides = append(policy.LaunchTemplate.Overrides, astypes.LaunchTemplateOverrides{InstanceType: aws.String(kind)})
	}
	return policy
}

func launchSpecification(t ec2.Template) *astypes.LaunchTemplateSpecification {
	return &astypes.LaunchTemplateSpecification{
		LaunchTemplateId: aws.String(t.ID), Version: aws.String(strconv.FormatInt(t.Version, 10)),
	}
}

// makeGroup makes the Auto Scaling group with the tags that EKS gives it; the
// node group's own tags do not go there.
func (s *Service) makeGroup(c *cluster, n *nodegroup, t ec2.Template) error {
	in := &as.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(n.group), MinSize: n.data.ScalingConfig.MinSize, MaxSize: n.data.ScalingConfig.MaxSize,
		DesiredCapacity: n.data.ScalingConfig.DesiredSize, VPCZoneIdentifier: aws.String(join(n.data.Subnets)),
		CapacityRebalance: aws.Bool(true), HealthCheckType: aws.String("EC2"), HealthCheckGracePeriod: aws.Int32(15),
		TerminationPolicies: []string{"AllocationStrategy", "OldestLaunchTemplate", "OldestInstance"},
	}
	if n.data.CapacityType == types.CapacityTypesCapacityBlock {
		in.LaunchTemplate = launchSpecification(t)
	} else {
		in.MixedInstancesPolicy = n.mixedPolicy(t)
	}
	for _, tag := range [][2]string{
		{"eks:cluster-name", c.key.name},
		{"eks:nodegroup-name", *n.data.NodegroupName},
		{"k8s.io/cluster-autoscaler/" + c.key.name, "owned"},
		{"k8s.io/cluster-autoscaler/enabled", "true"},
		{"kubernetes.io/cluster/" + c.key.name, "owned"},
	} {
		in.Tags = append(in.Tags, astypes.Tag{
			Key: aws.String(tag[0]), Value: aws.String(tag[1]), PropagateAtLaunch: aws.Bool(true),
			ResourceId: aws.String(n.group), ResourceType: aws.String("auto-scaling-group"),
		})
	}
	return s.opts.AutoScaling.Create(c.key.region, in)
}
