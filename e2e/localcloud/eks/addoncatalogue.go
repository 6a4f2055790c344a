package eks

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/controllers"
)

// addonInfo is what EKS says of an add-on beside its versions.
type addonInfo struct {
	namespace, kind string
	account         string   // service account that may have a role
	policies        []string // AWS's policies for it
}

func addonInfos() map[string]addonInfo {
	return map[string]addonInfo{
		"vpc-cni":                {"kube-system", "networking", "aws-node", []string{"arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"}},
		"kube-proxy":             {"kube-system", "networking", "", nil},
		"coredns":                {"kube-system", "networking", "", nil},
		"eks-pod-identity-agent": {"kube-system", "security", "", nil},
		"metrics-server":         {"kube-system", "observability", "", nil},
		"aws-ebs-csi-driver":     {"kube-system", "storage", "ebs-csi-controller-sa", []string{"arn:aws:iam::aws:policy/AmazonEBSCSIDriverPolicyV2"}},
		"aws-efs-csi-driver":     {"kube-system", "storage", "efs-csi-controller-sa", []string{"arn:aws:iam::aws:policy/service-role/AmazonEFSCSIDriverPolicy"}},

		// EKS recommends Amazon S3's own policies, of which none is limited to a bucket.
		"aws-mountpoint-s3-csi-driver": {"kube-system", "storage", "s3-csi-driver-sa", []string{"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}},
	}
}

// DescribeAddonVersions lists what can be installed on which versions.
func (s *Service) DescribeAddonVersions(_ context.Context, in *eks.DescribeAddonVersionsInput) (*eks.DescribeAddonVersionsOutput, error) {
	if n := in.AddonName; n != nil {
		if _, ok := addonInfos()[*n]; !ok {
			return nil, notFound("Addon %s not found", *n)
		}
	}
	out := &eks.DescribeAddonVersionsOutput{}
	infos := addonInfos()
	for _, name := range sortedKeys(infos) {
		info := types.AddonInfo{
			AddonName: aws.String(name), Owner: aws.String("aws"), Publisher: aws.String("eks"), Type: aws.String(infos[name].kind),
			DefaultNamespace: aws.String(infos[name].namespace),
		}
		if in.AddonName != nil && *in.AddonName != name ||
			len(in.Owners) > 0 && !slices.Contains(in.Owners, "aws") || len(in.Publishers) > 0 && !slices.Contains(in.Publishers, "eks") ||
			len(in.Types) > 0 && !slices.Contains(in.Types, infos[name].kind) {
			continue
		}
		if info.AddonVersions = addonVersions(name, deref(in.KubernetesVersion), infos[name]); len(info.AddonVersions) > 0 {
			out.Addons = append(out.Addons, info)
		}
	}
	return out, nil
}

// addonVersions are the versions of one add-on with the Kubernetes versions
// that each is for, newest first.
func addonVersions(name, only string, info addonInfo) []types.AddonVersionInfo {
	var list []types.AddonVersionInfo
	for _, v := range versions() {
		if only != "" && only != v.minor {
			continue
		}
		for i, offered := range controllers.AddonVersions(name, v.minor) {
			compatible := types.Compatibility{ClusterVersion: aws.String(v.minor), PlatformVersions: []string{"*"}, DefaultVersion: i == 0}
			at := slices.IndexFunc(list, func(have types.AddonVersionInfo) bool { return *have.AddonVersion == offered })
			if at < 0 {
				list = append(list, types.AddonVersionInfo{
					AddonVersion: aws.String(offered), Architecture: []string{"amd64", "arm64"},
					ComputeTypes: []string{"ec2", "auto", "hybrid"}, RequiresIamPermissions: len(info.policies) > 0,
				})
				at = len(list) - 1
			}
			list[at].Compatibilities = append(list[at].Compatibilities, compatible)
		}
	}
	return list
}

// DescribeAddonConfiguration shows the JSON schema of an add-on's configuration.
func (s *Service) DescribeAddonConfiguration(_ context.Context, in *eks.DescribeAddonConfigurationInput) (*eks.DescribeAddonConfigurationOutput, error) {
	info, ok := addonInfos()[*in.AddonName]
	offered := slices.ContainsFunc(versions(), func(v version) bool {
		return slices.Contains(controllers.AddonVersions(*in.AddonName, v.minor), *in.AddonVersion)
	})
	if !ok || !offered {
		return nil, notFound("Addon %s with version %s not found", *in.AddonName, *in.AddonVersion)
	}
	schema, err := controllers.AddonConfigurationSchema(*in.AddonName)
	if err != nil {
		return nil, &types.ServerException{Message: aws.String(err.Error())}
	}
	out := &eks.DescribeAddonConfigurationOutput{AddonName: in.AddonName, AddonVersion: in.AddonVersion, ConfigurationSchema: &schema}
	if info.account != "" {
		out.PodIdentityConfiguration = []types.AddonPodIdentityConfiguration{{ServiceAccount: aws.String(info.account), RecommendedManagedPolicies: info.policies}}
	}
	return out, nil
}
