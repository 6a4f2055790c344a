package eks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
)

// checkClusterRole refuses a role that EKS could not work with, in the words
// that the Terraform AWS provider waits on while IAM propagates.
func (s *Service) checkClusterRole(cluster, roleARN string) error {
	role, ok := s.opts.IAM.Role(roleARN)
	switch {
	case !ok || s.unknown(role):
		return invalidParameter(cluster, "", "Role with arn: %s, could not be assumed because it does not exist or the trusted entity is not correct", roleARN)
	case !role.Trusts("eks.amazonaws.com"):
		return invalidParameter(cluster, "", "Role could not be assumed because the trusted entity is not correct")
	case !role.HasPolicy("AmazonEKSClusterPolicy") || !s.opts.IAM.Propagated(roleARN):
		return invalidParameter(cluster, "", "The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following policies [arn:aws:iam::aws:policy/AmazonEKSClusterPolicy] are attached ")
	}
	return nil
}

// unknown tells whether EKS does not know a role yet that IAM has: it was made a
// moment ago. A role that was changed is known as it was.
func (s *Service) unknown(role iam.Role) bool {
	// Created is in whole seconds.
	return time.Since(role.Created) < s.clock.Duration(clock.IAMPropagation)+time.Second && !s.opts.IAM.Propagated(role.ARN)
}

// barredZones have no EKS control plane
// (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html).
func barredZones() []string { return []string{"use1-az3", "usw1-az2", "cac1-az3"} }

// checkSubnets returns the subnets of a control plane.
func (s *Service) checkSubnets(region, cluster string, ids []string) ([]ec2.Subnet, error) {
	if len(ids) == 0 {
		return nil, invalidParameter(cluster, "", "Subnets specified must be in at least two different AZs")
	}
	subnets, err := s.opts.EC2.Subnets(region, ids)
	if err != nil {
		return nil, invalidParameter(cluster, "", "The subnet ID '%s' does not exist (Service: Ec2, Status Code: 400)", strings.Join(missingIn(err, ids), ","))
	}
	zones := map[string]bool{}
	for _, sn := range subnets {
		if sn.VPC != subnets[0].VPC {
			return nil, invalidParameter(cluster, "", "Subnets provided must belong to the same VPC")
		}
		if slices.Contains(barredZones(), sn.ZoneID) {
			valid := s.validZones(region)
			return nil, &types.UnsupportedAvailabilityZoneException{
				ClusterName: &cluster, ValidZones: valid,
				Message: aws.String(fmt.Sprintf("Cannot create cluster '%s' because %s, the targeted Availability Zone, does not currently have sufficient capacity to support the cluster. Retry and choose from these Availability Zones: %s",
					cluster, sn.Zone, strings.Join(valid, ", "))),
			}
		}
		zones[sn.Zone] = true
	}
	if len(zones) < 2 {
		return nil, invalidParameter(cluster, "", "Subnets specified must be in at least two different AZs")
	}
	for _, sn := range subnets {
		if sn.Available < 6 { // network-reqs: "at least six IP addresses for use by Amazon EKS"
			return nil, invalidParameter(cluster, "", "Subnet %s does not have enough free IP addresses. At least 6 are needed", sn.ID)
		}
	}
	return subnets, nil
}

// missingIn picks the ids that the error names.
func missingIn(err error, ids []string) []string {
	var missing []string
	for _, id := range ids {
		if strings.Contains(err.Error(), id) {
			missing = append(missing, id)
		}
	}
	return missing
}

func checkEndpoints(cluster string, vpc *types.VpcConfigRequest) error {
	if !orBool(vpc.EndpointPublicAccess, true) {
		if !deref(vpc.EndpointPrivateAccess) {
			return invalidParameter(cluster, "", "Private and public endpoint access cannot be false")
		}
		if len(vpc.PublicAccessCidrs) > 0 {
			return invalidParameter(cluster, "", "Public endpoint restrictions cannot be set when public endpoint access is disabled")
		}
	}
	if len(vpc.PublicAccessCidrs) > 40 { // service-quotas; words not found
		return invalidParameter(cluster, "", "The number of public access CIDRs must be at most 40")
	}
	var invalid, barred []string
	for _, cidr := range vpc.PublicAccessCidrs {
		p, err := netip.ParsePrefix(cidr)
		switch {
		case err != nil:
			invalid = append(invalid, cidr)
		case slices.ContainsFunc(privateRanges(), p.Overlaps) && p.Bits() > 0:
			barred = append(barred, cidr)
		}
	}
	switch {
	case len(invalid) > 0: // aws/aws-cdk#33176
		return invalidParameter(cluster, "", "The following CIDRs are invalid in publicAccessCidrs: [%s]", strings.Join(invalid, ", "))
	case len(barred) > 0: // seen with private and documentation ranges in published Terraform code
		return invalidParameter(cluster, "", "The following CIDRs are not allowed in publicAccessCidrs: [%s]", strings.Join(barred, ", "))
	}
	return nil
}

// privateRanges are what nobody on the internet calls from: RFC 1918 and 5737.
func privateRanges() []netip.Prefix {
	var list []netip.Prefix
	for _, r := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"} {
		list = append(list, netip.MustParsePrefix(r))
	}
	return list
}

// checkAccess holds the one rule between authentication mode and the creator's
// permissions (terraform-aws-modules/terraform-aws-eks#3206).
func checkAccess(cluster string, in *types.CreateAccessConfigRequest) error {
	if in != nil && (in.AuthenticationMode == "" || in.AuthenticationMode == types.AuthenticationModeConfigMap) && !orBool(in.BootstrapClusterCreatorAdminPermissions, true) {
		return invalidParameter(cluster, "", "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to CONFIG_MAP")
	}
	return nil
}

// checkNewTags refuses tags that are AWS's own (words not found for EKS; these
// are EC2's). The model limits their number.
func checkNewTags(cluster, nodegroup string, tags map[string]string) error {
	for _, k := range sortedKeys(tags) {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return invalidParameter(cluster, nodegroup, "Tag keys starting with 'aws:' are reserved for internal use")
		}
	}
	return nil
}

// rangesOf are the address ranges of a VPC.
func (s *Service) rangesOf(region, vpc string) []string {
	v, _ := s.opts.EC2.VPC(region, vpc)
	return v.CIDRs
}

func cidrs(vpc *types.VpcConfigRequest) []string {
	switch {
	case !orBool(vpc.EndpointPublicAccess, true):
		return []string{}
	case len(vpc.PublicAccessCidrs) == 0:
		return []string{"0.0.0.0/0"}
	}
	return slices.Clone(vpc.PublicAccessCidrs)
}

// serviceRange is the range of service addresses: one that was asked for, or
// 172.20.0.0/16 when the VPC lies in 10.0.0.0/8 and 10.100.0.0/16 otherwise.
func serviceRange(cluster string, config *types.KubernetesNetworkConfigRequest, vpc []string) (string, error) {
	inTen := false
	var nets []netip.Prefix
	for _, cidr := range vpc {
		if p, err := netip.ParsePrefix(cidr); err == nil {
			nets = append(nets, p)
			inTen = inTen || netip.MustParsePrefix("10.0.0.0/8").Contains(p.Addr())
		}
	}
	if config == nil || config.ServiceIpv4Cidr == nil {
		if inTen {
			return "172.20.0.0/16", nil
		}
		return "10.100.0.0/16", nil
	}
	cidr := *config.ServiceIpv4Cidr
	p, err := netip.ParsePrefix(cidr)
	private := false
	for _, r := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} {
		private = private || err == nil && netip.MustParsePrefix(r).Contains(p.Addr())
	}
	// CreateCluster's reference has the rule; words not found.
	if !private || p.Bits() < 12 || p.Bits() > 24 {
		return "", invalidParameter(cluster, "", "The service CIDR %s is not valid: it must be between /24 and /12 within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16", cidr)
	}
	for _, n := range nets {
		if n.Overlaps(p) {
			return "", invalidParameter(cluster, "", "The service CIDR %s overlaps with the VPC's CIDR", cidr)
		}
	}
	return p.Masked().String(), nil
}
