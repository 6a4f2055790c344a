package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// Release is one release of the images that EKS has for a Kubernetes version.
type Release struct{ Kubernetes, Patch, Date string }

// EKSReleases are the releases of the EKS-optimized images by Kubernetes
// version, the newest last (CHANGELOG of awslabs/amazon-eks-ami).
func EKSReleases() map[string][]Release {
	patches := map[string]string{"1.31": "1.31.14", "1.32": "1.32.13", "1.33": "1.33.12", "1.34": "1.34.8", "1.35": "1.35.5", "1.36": "1.36.2"}
	all := map[string][]Release{}
	for version, patch := range patches {
		for _, date := range []string{"20260610", "20260714", "20260818"} {
			all[version] = append(all[version], Release{version, patch, date})
		}
	}
	return all
}

// Version is the release version of a node group, such as 1.36.2-20260714.
func (r Release) Version() string { return r.Patch + "-" + r.Date }

// variant is one line of EKS images: how its name starts, and its architecture.
type variant struct{ key, name, architecture, owner, alias string }

// imageVariants are EKS's AMI types and the names of their images.
func imageVariants() map[string]variant {
	const eks, bottlerocket = "602401143452", "149721548608"
	al2023 := func(arch, kind string) string { return "amazon-eks-node-al2023-" + arch + "-" + kind + "-%s-v%s" }
	return map[string]variant{
		"AL2023_x86_64_STANDARD":     {"amazon-linux-2023/x86_64/standard", al2023("x86_64", "standard"), "x86_64", eks, "amazon"},
		"AL2023_x86_64_NVIDIA":       {"amazon-linux-2023/x86_64/nvidia", al2023("x86_64", "nvidia"), "x86_64", eks, "amazon"},
		"AL2023_x86_64_NEURON":       {"amazon-linux-2023/x86_64/neuron", al2023("x86_64", "neuron"), "x86_64", eks, "amazon"},
		"AL2023_ARM_64_STANDARD":     {"amazon-linux-2023/arm64/standard", al2023("arm64", "standard"), "arm64", eks, "amazon"},
		"AL2023_ARM_64_NVIDIA":       {"amazon-linux-2023/arm64/nvidia", al2023("arm64", "nvidia"), "arm64", eks, "amazon"},
		"BOTTLEROCKET_x86_64":        {"bottlerocket/x86_64", "bottlerocket-aws-k8s-%s-x86_64-v1.62.0-%s", "x86_64", bottlerocket, "amazon"},
		"BOTTLEROCKET_x86_64_NVIDIA": {"bottlerocket-nvidia/x86_64", "bottlerocket-aws-k8s-%s-nvidia-x86_64-v1.62.0-%s", "x86_64", bottlerocket, "amazon"},
		"BOTTLEROCKET_ARM_64":        {"bottlerocket/arm64", "bottlerocket-aws-k8s-%s-aarch64-v1.62.0-%s", "arm64", bottlerocket, "amazon"},
		"UBUNTU_x86_64":              {"ubuntu", "ubuntu-eks/k8s_%s/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-%s", "x86_64", "099720109477", ""},
	}
}

// EKSImage returns the id of the image of an AMI type ("AL2023_x86_64_NVIDIA"; also
// "UBUNTU_x86_64", Canonical's) for a Kubernetes version in a region, and its release
// version. An empty release means the recommended one, the newest.
func (s *Service) EKSImage(region, amiType, kubernetes, release string) (id, releaseVersion string, ok bool) {
	v, known := imageVariants()[amiType]
	releases := EKSReleases()[kubernetes]
	if !known || len(releases) == 0 {
		return "", "", false
	}
	for _, x := range slices.Backward(releases) {
		if release == "" || release == x.Version() {
			return imageID(region, v, x), x.Version(), true
		}
	}
	return "", "", false
}

func imageID(region string, v variant, r Release) string {
	return "ami-0" + fixedHex("ami/"+region+"/"+v.key+"/"+r.Version(), 16)
}

// images lists all images of a region.
func images(region string) []types.Image {
	var all []types.Image
	for version, releases := range EKSReleases() {
		for _, v := range imageVariants() {
			for _, x := range releases {
				all = append(all, v.output(region, version, x))
			}
		}
	}
	slices.SortFunc(all, func(a, b types.Image) int { return strings.Compare(*a.Name, *b.Name) })
	return all
}

func (v variant) output(region, kubernetes string, x Release) types.Image {
	name := fmt.Sprintf(v.name, kubernetes, x.Date)
	created := x.Date[:4] + "-" + x.Date[4:6] + "-" + x.Date[6:] + "T08:00:00.000Z"
	out := types.Image{
		ImageId: aws.String(imageID(region, v, x)), Name: aws.String(name), Architecture: types.ArchitectureValues(v.architecture), OwnerId: aws.String(v.owner),
		ImageLocation: aws.String("amazon/" + name), ImageType: types.ImageTypeValuesMachine, Public: aws.Bool(true), State: types.ImageStateAvailable,
		CreationDate: aws.String(created), Hypervisor: types.HypervisorTypeXen, VirtualizationType: types.VirtualizationTypeHvm, EnaSupport: aws.Bool(true),
		RootDeviceName: aws.String(rootDevice), RootDeviceType: types.DeviceTypeEbs, PlatformDetails: aws.String("Linux/UNIX"), UsageOperation: aws.String("RunInstances"),
		Description: aws.String("EKS-optimized Kubernetes node (k8s: " + x.Patch + ")"), ImdsSupport: types.ImdsSupportValuesV20, SriovNetSupport: aws.String("simple"),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String(rootDevice), Ebs: &types.EbsBlockDevice{
			VolumeSize: aws.Int32(20), VolumeType: types.VolumeTypeGp3, DeleteOnTermination: aws.Bool(true), Encrypted: aws.Bool(false), SnapshotId: aws.String("snap-0" + fixedHex("snap/"+name+region, 16)),
		}}},
		Tags: []types.Tag{},
	}
	if v.alias != "" {
		out.ImageOwnerAlias = aws.String(v.alias)
	}
	return out
}

// ImageName is the name of an image of a region, empty if there is none.
func (s *Service) ImageName(region, id string) string {
	for _, i := range images(region) {
		if *i.ImageId == id {
			return *i.Name
		}
	}
	return ""
}

// image finds an image of the region.
func (s *Service) image(r *region, id string) (*types.Image, error) {
	for _, i := range images(r.name) {
		if *i.ImageId == id {
			return &i, nil
		}
	}
	if !wellFormed("ami-", id) {
		return nil, fail("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", id)
	}
	return nil, fail("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

func registerImages(w *wire.Server, a api) { handle(w, a.DescribeImages) }

// DescribeImages lists the public images for EKS: AWS's and Canonical's.
func (a api) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput) (*ec2.DescribeImagesOutput, error) {
	_ = in.IncludeDeprecated // none of EKS's that are here is
	r := a.lock(ctx)
	defer a.mu.Unlock()
	for _, id := range in.ImageIds {
		if _, err := a.image(r, id); err != nil {
			return nil, err
		}
	}
	all := images(r.name)
	if len(in.Owners) > 0 {
		all = slices.DeleteFunc(all, func(i types.Image) bool {
			return !slices.Contains(in.Owners, *i.OwnerId) && !slices.Contains(in.Owners, aws.ToString(i.ImageOwnerAlias))
		})
	}
	kept, err := describe(all, in.ImageIds, func(i types.Image) *string { return i.ImageId }, in.Filters, filters[types.Image]{
		"architecture":        func(i types.Image) []string { return []string{string(i.Architecture)} },
		"creation-date":       func(i types.Image) []string { return one(i.CreationDate) },
		"description":         func(i types.Image) []string { return one(i.Description) },
		"ena-support":         func(i types.Image) []string { return yes(i.EnaSupport) },
		"hypervisor":          func(i types.Image) []string { return []string{string(i.Hypervisor)} },
		"image-id":            func(i types.Image) []string { return one(i.ImageId) },
		"image-type":          func(i types.Image) []string { return []string{string(i.ImageType)} },
		"is-public":           func(i types.Image) []string { return yes(i.Public) },
		"name":                func(i types.Image) []string { return one(i.Name) },
		"owner-alias":         func(i types.Image) []string { return one(i.ImageOwnerAlias) },
		"owner-id":            func(i types.Image) []string { return one(i.OwnerId) },
		"root-device-name":    func(i types.Image) []string { return one(i.RootDeviceName) },
		"root-device-type":    func(i types.Image) []string { return []string{string(i.RootDeviceType)} },
		"state":               func(i types.Image) []string { return []string{string(i.State)} },
		"virtualization-type": func(i types.Image) []string { return []string{string(i.VirtualizationType)} },
	}, func(i types.Image) []types.Tag { return i.Tags })
	return &ec2.DescribeImagesOutput{Images: kept}, err
}
