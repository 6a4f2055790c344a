package eks

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/ec2"
)

// source is what a node group's nodes are made from, after all checks.
type source struct {
	launch   *ec2.Template // the user's launch template; nil without one
	amiType  types.AMITypes
	release  string   // AMI release, or the image id of an own image
	types    []string // instance types in order of preference
	ownImage string   // the launch template's image id, if it has one
	image    string   // the image that the nodes start from
}

// reference is the user's launch template as DescribeNodegroup shows it.
func (s source) reference() *types.LaunchTemplateSpecification {
	if s.launch == nil {
		return nil
	}
	return &types.LaunchTemplateSpecification{
		Id: aws.String(s.launch.ID), Name: aws.String(s.launch.Name), Version: aws.String(strconv.FormatInt(s.launch.Version, 10)),
	}
}

// checkNodegroup checks a request by the rules of the user guide (pages
// create-managed-node-group and launch-templates) and resolves its template.
func (s *Service) checkNodegroup(region string, cluster types.Cluster, in *eks.CreateNodegroupInput) (source, error) {
	c, name := *in.ClusterName, *in.NodegroupName
	bad := func(format string, args ...any) error { return invalidParameter(c, name, format, args...) }
	if !regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9\-_]{0,62}$`).MatchString(name) {
		return source{}, bad("The nodegroup name parameter can contain only alphanumeric characters, hyphens and underscores and must have at most 63 characters")
	}
	if err := s.checkNodeRole(c, name, *in.NodeRole); err != nil {
		return source{}, err
	}
	subnets, err := s.checkNodeSubnets(region, cluster, name, in.Subnets)
	if err != nil {
		return source{}, err
	}
	if err := checkScaling(c, name, scaling(in.ScalingConfig)); err != nil {
		return source{}, err
	}
	if err := checkLabels(c, name, in.Labels); err != nil {
		return source{}, err
	}
	if err := checkTaints(c, name, in.Taints); err != nil {
		return source{}, err
	}
	if err := checkUpdateConfig(c, name, in.UpdateConfig); err != nil {
		return source{}, err
	}
	if err := checkRepair(c, name, in.NodeRepairConfig); err != nil {
		return source{}, err
	}
	if err := checkNewTags(c, name, in.Tags); err != nil {
		return source{}, err
	}
	if r := in.RemoteAccess; r != nil && in.LaunchTemplate == nil && r.Ec2SshKey != nil {
		// EC2's words; the account has no key pairs, and cannot make any here.
		return source{}, bad("The key pair '%s' does not exist", *r.Ec2SshKey)
	}
	src := source{amiType: in.AmiType, types: in.InstanceTypes}
	if in.AmiType == types.AMITypesCustom && in.LaunchTemplate == nil {
		return source{}, bad("You must specify an image id in your launch template when using CUSTOM AMI Type.")
	}
	if in.LaunchTemplate != nil {
		if src, err = s.checkTemplate(region, in); err != nil {
			return source{}, err
		}
	}
	if in.CapacityType == types.CapacityTypesCapacityBlock {
		if err := checkCapacityBlock(c, name, src, subnets); err != nil {
			return source{}, err
		}
	}
	if len(src.types) == 0 {
		src.types = []string{"t3.medium"}
	}
	if err := s.checkTypes(c, name, &src); err != nil {
		return source{}, err
	}
	return src, s.checkRelease(region, cluster, in, &src)
}

// checkUpdateConfig holds what the reference of NodegroupUpdateConfig says
// (words not found).
func checkUpdateConfig(cluster, nodegroup string, u *types.NodegroupUpdateConfig) error {
	switch {
	case u == nil:
	case u.MaxUnavailable != nil && u.MaxUnavailablePercentage != nil:
		return invalidParameter(cluster, nodegroup, "maxUnavailable and maxUnavailablePercentage cannot be specified at the same time")
	case deref(u.MaxUnavailable) > 100:
		return invalidParameter(cluster, nodegroup, "maxUnavailable can be at most 100")
	}
	return nil
}

// checkRepair holds what the reference of NodeRepairConfig says: a number or a
// percentage (words not found).
func checkRepair(cluster, nodegroup string, r *types.NodeRepairConfig) error {
	switch {
	case r == nil:
	case r.MaxUnhealthyNodeThresholdCount != nil && r.MaxUnhealthyNodeThresholdPercentage != nil:
		return invalidParameter(cluster, nodegroup, "maxUnhealthyNodeThresholdCount and maxUnhealthyNodeThresholdPercentage cannot be specified at the same time")
	case r.MaxParallelNodesRepairedCount != nil && r.MaxParallelNodesRepairedPercentage != nil:
		return invalidParameter(cluster, nodegroup, "maxParallelNodesRepairedCount and maxParallelNodesRepairedPercentage cannot be specified at the same time")
	}
	return nil
}

func (s *Service) checkNodeRole(cluster, nodegroup, roleARN string) error {
	role, ok := s.opts.IAM.Role(roleARN)
	switch {
	case !ok || s.unknown(role):
		return invalidParameter(cluster, nodegroup, "The role with name %s cannot be found. (Service: AmazonIdentityManagement; Status Code: 404; Error Code: NoSuchEntity)",
			roleARN[strings.LastIndexByte(roleARN, '/')+1:])
	case !role.Trusts("ec2.amazonaws.com") || !s.opts.IAM.Propagated(roleARN):
		return invalidParameter(cluster, nodegroup, "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole %s", roleARN)
	}
	return nil
}

func (s *Service) checkNodeSubnets(region string, cluster types.Cluster, nodegroup string, ids []string) ([]ec2.Subnet, error) {
	subnets, err := s.opts.EC2.Subnets(region, ids)
	if err != nil {
		return nil, invalidParameter(*cluster.Name, nodegroup, "The subnet ID '%s' does not exist (Service: Ec2, Status Code: 400)", strings.Join(missingIn(err, ids), ","))
	}
	if len(subnets) == 0 {
		return nil, invalidParameter(*cluster.Name, nodegroup, "Subnets cannot be empty")
	}
	for _, sn := range subnets {
		if sn.VPC != *cluster.ResourcesVpcConfig.VpcId {
			return nil, invalidParameter(*cluster.Name, nodegroup, "Subnet %s does not belong to the VPC %s of cluster %s", sn.ID, *cluster.ResourcesVpcConfig.VpcId, *cluster.Name)
		}
	}
	return subnets, nil
}

func checkScaling(cluster, nodegroup string, sc *types.NodegroupScalingConfig) error {
	lo, hi, desired := *sc.MinSize, *sc.MaxSize, *sc.DesiredSize
	switch {
	case hi < 1:
		return invalidParameter(cluster, nodegroup, "maxSize must be at least 1")
	case lo > hi:
		return invalidParameter(cluster, nodegroup, "Minimum capacity %d can't be greater than maximum capacity %d", lo, hi)
	case lo > desired:
		return invalidParameter(cluster, nodegroup, "Minimum capacity %d can't be greater than desired size %d", lo, desired)
	case desired > hi:
		return invalidParameter(cluster, nodegroup, "desired capacity %d can't be greater than max size %d", desired, hi)
	case hi > maxNodes:
		return limitExceeded("Requested maximum size %d is above the limit of %d nodes for a managed node group", hi, maxNodes)
	}
	return nil
}

// labelPart is the form of a label's name and, when not empty, of its value.
const labelPart = `^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`

func checkLabels(cluster, nodegroup string, labels map[string]string) error {
	form := regexp.MustCompile(labelPart)
	for _, key := range sortedKeys(labels) {
		domain, name, ok := strings.Cut(key, "/")
		if !ok {
			domain, name = "", key
		}
		if slices.Contains([]string{"kubernetes.io", "k8s.io", "eks.amazonaws.com", "node-role.kubernetes.io"}, domain) {
			return invalidParameter(cluster, nodegroup, "Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]")
		}
		if !form.MatchString(name) || !form.MatchString(labels[key]) {
			return invalidParameter(cluster, nodegroup, "Label %s=%s is not a valid Kubernetes label", key, labels[key])
		}
	}
	return nil
}

func checkTaints(cluster, nodegroup string, taints []types.Taint) error {
	if len(taints) > 50 {
		return invalidParameter(cluster, nodegroup, "At most 50 taints can be set on a node group")
	}
	seen := map[string]bool{}
	for _, t := range taints {
		id := taintID(t)
		if deref(t.Key) == "" || t.Effect == "" {
			return invalidParameter(cluster, nodegroup, "Taint key and effect are required")
		}
		if seen[id] {
			return invalidParameter(cluster, nodegroup, "Duplicate taint with key %s and effect %s", *t.Key, t.Effect)
		}
		seen[id] = true
		if v := deref(t.Value); v != "" && !regexp.MustCompile(labelPart).MatchString(v) {
			return invalidParameter(cluster, nodegroup, "Taint value %s is not valid", v)
		}
	}
	return nil
}

// taintID is what makes two taints the same: key and effect.
func taintID(t types.Taint) string { return deref(t.Key) + ":" + string(t.Effect) }

// checkTemplate resolves the user's launch template and refuses what a node
// group's template must not have.
func (s *Service) checkTemplate(region string, in *eks.CreateNodegroupInput) (source, error) {
	c, name, ref := *in.ClusterName, *in.NodegroupName, in.LaunchTemplate
	bad := func(format string, args ...any) error { return invalidParameter(c, name, format, args...) }
	if (ref.Id == nil) == (ref.Name == nil) {
		return source{}, bad("Either provide launch template ID or launch template name in the request.")
	}
	id := or(ref.Id, deref(ref.Name))
	launch, err := s.opts.EC2.NamedLaunchTemplate(region, id, or(ref.Version, "$Default"))
	if err != nil {
		return source{}, invalidRequest(c, name, "Launch template %s with version %s could not be found: %v", id, or(ref.Version, "$Default"), err)
	}
	src := source{launch: &launch, amiType: in.AmiType, types: in.InstanceTypes}
	d := launch.Data
	switch {
	case in.DiskSize != nil:
		return src, bad("Disk size must be specified within the launch template.")
	case in.RemoteAccess != nil:
		return src, bad("Remote access configuration cannot be specified with a launch template.")
	case d.InstanceType != "" && len(in.InstanceTypes) > 0:
		return src, bad("Instance types must be specified either within the launch template or in the request, not in both.")
	case d.ImageId != nil && in.AmiType != "" && in.AmiType != types.AMITypesCustom:
		return src, bad("You cannot specify an AMI Type other than CUSTOM, when specifying an image id in your launch template.")
	case d.ImageId != nil && (in.Version != nil || in.ReleaseVersion != nil):
		return src, bad("You cannot specify the field %s when using custom AMIs.", map[bool]string{true: "kubernetesVersion", false: "releaseVersion"}[in.Version != nil])
	case d.ImageId == nil && in.AmiType == types.AMITypesCustom:
		return src, bad("You must specify an image id in your launch template when using CUSTOM AMI Type.")
	}
	if err := checkTemplateData(c, name, in.CapacityType, d); err != nil {
		return src, err
	}
	if d.InstanceType != "" {
		src.types = []string{string(d.InstanceType)}
	}
	if d.ImageId != nil {
		src.ownImage, src.amiType = *d.ImageId, types.AMITypesCustom
	}
	return src, nil
}

// checkTemplateData refuses what no node group's template may have, whatever the
// request says beside it (user guide, launch-templates, "Launch template
// configuration basics"). Of the words only those about the instance profile are
// known to be AWS's.
func checkTemplateData(cluster, nodegroup string, capacity types.CapacityTypes, d ec2types.ResponseLaunchTemplateData) error {
	bad := func(words string) error { return invalidParameter(cluster, nodegroup, "%s", words) }
	market := ec2types.MarketType("")
	if d.InstanceMarketOptions != nil {
		market = d.InstanceMarketOptions.MarketType
	}
	switch {
	case d.IamInstanceProfile != nil:
		return bad("Launch template should not specify an instance profile. The noderole in your request will be used to construct an instance profile.")
	case d.HibernationOptions != nil && deref(d.HibernationOptions.Configured):
		return bad("Launch template should not specify hibernation options.")
	case d.InstanceInitiatedShutdownBehavior == ec2types.ShutdownBehaviorTerminate:
		return bad("Launch template should not specify instance initiated shutdown behavior as terminate.")
	case market == ec2types.MarketTypeSpot:
		return bad("Launch template should not specify instance market options. Use capacityType to request Spot capacity.")
	case market == ec2types.MarketTypeCapacityBlock && capacity != types.CapacityTypesCapacityBlock:
		return bad("Launch template should not specify instance market options. Use capacityType to request a Capacity Block.")
	case d.InstanceRequirements != nil:
		return bad("Launch template should not specify instance requirements.")
	case slices.ContainsFunc(d.NetworkInterfaces, func(n ec2types.LaunchTemplateInstanceNetworkInterfaceSpecification) bool { return n.SubnetId != nil }):
		return bad("Launch template should not specify subnets for its network interfaces. Use the subnets of the node group.")
	}
	return nil
}

// checkCapacityBlock holds the page ml/capacity-blocks-mng of the user guide.
func checkCapacityBlock(cluster, nodegroup string, src source, subnets []ec2.Subnet) error {
	zones := map[string]bool{}
	for _, sn := range subnets {
		zones[sn.Zone] = true
	}
	d := func() ec2types.ResponseLaunchTemplateData {
		if src.launch == nil {
			return ec2types.ResponseLaunchTemplateData{}
		}
		return src.launch.Data
	}()
	switch {
	case d.InstanceType == "":
		return invalidParameter(cluster, nodegroup, "A launch template with an instance type is required for capacity type CAPACITY_BLOCK.")
	case d.InstanceMarketOptions == nil || d.InstanceMarketOptions.MarketType != ec2types.MarketTypeCapacityBlock:
		return invalidParameter(cluster, nodegroup, "The launch template must specify the market type capacity-block for capacity type CAPACITY_BLOCK.")
	case d.CapacityReservationSpecification == nil || d.CapacityReservationSpecification.CapacityReservationTarget == nil:
		return invalidParameter(cluster, nodegroup, "The launch template must specify a capacity reservation target for capacity type CAPACITY_BLOCK.")
	case len(zones) != 1:
		return invalidParameter(cluster, nodegroup, "Subnets must be in the Availability Zone of the Capacity Block.")
	}
	return nil
}

// checkTypes checks instance types against each other and the AMI type, and
// chooses the AMI type when none was named.
func (s *Service) checkTypes(cluster, nodegroup string, src *source) error {
	if len(src.types) > 20 { // CreateNodegroup's reference; words not found
		return invalidParameter(cluster, nodegroup, "At most 20 instance types can be specified")
	}
	var unknown, withoutGPU []string
	var first ec2.TypeInfo
	for i, t := range src.types {
		if slices.Contains(src.types[:i], t) { // words not found
			return invalidParameter(cluster, nodegroup, "Instance type %s is specified more than once", t)
		}
		info, ok := s.opts.EC2.InstanceType(t)
		switch {
		case !ok:
			unknown = append(unknown, t)
		case i == 0:
			first = info
		case info.Architecture != first.Architecture:
			return invalidParameter(cluster, nodegroup, "Instance types [%s] have different architectures", strings.Join(src.types, ", "))
		}
		if info.GPU.Manufacturer != "NVIDIA" {
			withoutGPU = append(withoutGPU, t)
		}
	}
	if len(unknown) > 0 {
		return invalidParameter(cluster, nodegroup, "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
	}
	arm := first.Architecture == "arm64"
	if src.amiType == "" {
		switch {
		case first.GPU.Manufacturer == "NVIDIA" && arm:
			src.amiType = types.AMITypesAl2023Arm64Nvidia
		case first.GPU.Manufacturer == "NVIDIA":
			src.amiType = types.AMITypesAl2023X8664Nvidia
		case arm:
			src.amiType = types.AMITypesAl2023Arm64Standard
		default:
			src.amiType = types.AMITypesAl2023X8664Standard
		}
	}
	// The words are AWS's (eksctl-io/eksctl#4973).
	nvidia := strings.HasSuffix(string(src.amiType), "_GPU") || strings.Contains(string(src.amiType), "_NVIDIA")
	if nvidia && len(withoutGPU) > 0 {
		return invalidParameter(cluster, nodegroup, "[%s] is not a valid instance type for requested amiType %s", strings.Join(withoutGPU, ", "), src.amiType)
	}
	if src.amiType != types.AMITypesCustom && strings.Contains(string(src.amiType), "ARM_64") != arm {
		return invalidParameter(cluster, nodegroup, "[%s] is not a valid instance type for requested amiType %s", strings.Join(src.types, ", "), src.amiType)
	}
	return nil
}

// checkRelease checks versions and chooses the image and its release: the
// recommended one if none was named.
func (s *Service) checkRelease(region string, cluster types.Cluster, in *eks.CreateNodegroupInput, src *source) error {
	c, name, minor := *in.ClusterName, *in.NodegroupName, *cluster.Version
	if v := or(in.Version, minor); v != minor {
		return invalidParameter(c, name, "Nodegroup Kubernetes version %s should be equal to the version of cluster %s: %s", v, c, minor)
	}
	if strings.HasPrefix(string(src.amiType), "AL2_") && number(minor) > 32 {
		return invalidParameter(c, name, "AMI Type %s is only supported for kubernetes versions 1.32 or earlier", src.amiType)
	}
	if src.ownImage != "" {
		src.image, src.release = src.ownImage, src.ownImage
		return nil
	}
	image, release, ok := s.opts.EC2.EKSImage(region, string(src.amiType), minor, deref(in.ReleaseVersion))
	switch {
	case !ok && in.ReleaseVersion != nil:
		return invalidParameter(c, name, "Requested release version %s is not valid for kubernetes version %s.", *in.ReleaseVersion, minor)
	case !ok:
		return invalidParameter(c, name, "AMI Type %s is not supported for kubernetes version %s", src.amiType, minor)
	}
	src.image, src.release = image, release
	return nil
}
