package cloud

import (
	"fmt"
	"regexp"
	"strings"
)

// quotaHint is what to do about a quota that was met, by the error's code. Names
// and codes are those of the Service Quotas console.
func quotaHint(code string) string {
	switch code {
	case "VpcLimitExceeded":
		return "ask for more of \"VPCs per Region\" (L-F678F1CE) in Service Quotas, delete a VPC that is not needed, or use one that exists: network.vpcID"
	case "AddressLimitExceeded":
		return "ask for more of \"EC2-VPC Elastic IPs\" (L-0263D0A3) in Service Quotas, release an address that is not needed, or set network.natGateways to single"
	case "NatGatewayLimitExceeded":
		return "ask for more of \"NAT gateways per Availability Zone\" (L-FE5A380F) in Service Quotas, or delete one that is not needed"
	case "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "InstanceLimitExceeded":
		return "ask for a higher limit in Service Quotas, or make the pool smaller"
	}
	return "ask for a higher limit in Service Quotas, or delete what is not needed"
}

// VCPUQuota names the quota that the vCPUs of an instance type count against,
// with its code (EC2 User Guide, "Amazon EC2 service quotas"). It is empty for
// families that have a quota of their own.
func VCPUQuota(instanceType string, spot bool) string {
	family, _, _ := strings.Cut(instanceType, ".")
	name, code := "", ""
	switch {
	case strings.HasPrefix(family, "p5") && spot:
		name, code = "All P5 Spot Instance Requests", "L-C4BD4855"
	case isP4OrOlder(family) && spot:
		name, code = "All P4, P3 and P2 Spot Instance Requests", "L-7212CCBC"
	case isP4OrOlder(family), strings.HasPrefix(family, "p5"):
		name, code = "Running On-Demand P instances", "L-417A185B"
	case isG(family) && spot:
		name, code = "All G and VT Spot Instance Requests", "L-3819A6DF"
	case isG(family):
		name, code = "Running On-Demand G and VT instances", "L-DB2E81BA"
	case !standard.MatchString(family):
		return ""
	case spot:
		name, code = "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", "L-34B43A08"
	default:
		name, code = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", "L-1216C47A"
	}
	return fmt.Sprintf("%q (%s)", name, code)
}

// standard are the families of the quota of that name.
var standard = regexp.MustCompile(`^[acdhimrtz]\d`)

func isP4OrOlder(family string) bool {
	return strings.HasPrefix(family, "p2") || strings.HasPrefix(family, "p3") || strings.HasPrefix(family, "p4")
}

func isG(family string) bool {
	return strings.HasPrefix(family, "g") || strings.HasPrefix(family, "vt")
}
