package ec2

// Quota is one of the quotas of EC2 ("ec2") or of the VPC ("vpc").
type Quota struct {
	Service, Code, Name string
	Default, Value      float64 // AWS's default, and what this account has
	Adjustable          bool
}

// Codes of the quotas that calls are checked against, beside those of
// [quotaCode] (Service Quotas console; facts on P instances: EC2 User Guide).
const (
	quotaVPCs       = "L-F678F1CE"
	quotaSubnets    = "L-407747CB"
	quotaGateways   = "L-A4707A72"
	quotaAddresses  = "L-0263D0A3"
	quotaNATs       = "L-FE5A380F"
	quotaGroups     = "L-E79EC296"
	quotaRules      = "L-0EA8095F"
	quotaInterfaces = "L-2AFB9258"
	quotaRoutes     = "L-93826ACB"

	quotaGatewayEndpoints   = "L-1B52E74A"
	quotaInterfaceEndpoints = "L-29B6F2EB"
)

// quotas are those of an account whose vCPU limits were raised for GPU work;
// AWS's own defaults for P instances are 0.
func quotas() []Quota {
	return []Quota{
		{"ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5, 1152, true},
		{"ec2", "L-417A185B", "Running On-Demand P instances", 0, 1152, true},
		{"ec2", "L-DB2E81BA", "Running On-Demand G and VT instances", 0, 768, true},
		{"ec2", "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5, 1440, true},
		{"ec2", "L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 0, 1152, true},
		{"ec2", "L-C4BD4855", "All P5 Spot Instance Requests", 0, 1152, true},
		{"ec2", "L-3819A6DF", "All G and VT Spot Instance Requests", 0, 768, true},
		{"ec2", quotaAddresses, "EC2-VPC Elastic IPs", 5, 5, true},
		{"vpc", quotaVPCs, "VPCs per Region", 5, 5, true},
		{"vpc", quotaSubnets, "Subnets per VPC", 200, 200, true},
		{"vpc", quotaGateways, "Internet gateways per Region", 5, 5, true},
		{"vpc", quotaNATs, "NAT gateways per Availability Zone", 5, 5, true},
		{"vpc", quotaGroups, "VPC security groups per Region", 2500, 2500, true},
		{"vpc", quotaRules, "Inbound or outbound rules per security group", 60, 60, true},
		{"vpc", quotaInterfaces, "Security groups per network interface", 5, 5, true},
		{"vpc", quotaGatewayEndpoints, "Gateway VPC endpoints per Region", 20, 20, true},
		{"vpc", quotaInterfaceEndpoints, "Interface VPC endpoints per VPC", 50, 50, true},
		{"vpc", quotaRoutes, "Routes per route table", 500, 500, true},
	}
}

// Quotas lists the quotas of a region.
func (s *Service) Quotas(region string) []Quota {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := quotas()
	for i := range list {
		list[i].Value = s.region(region).quota(list[i].Code)
	}
	return list
}

// SetQuota sets what the account has of a quota, by its code; a negative value
// is what it has anyway.
func (s *Service) SetQuota(region, code string, value float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	quotas := s.region(region).quotas
	if value < 0 {
		delete(quotas, code)
		return
	}
	quotas[code] = value
}

func (r *region) quota(code string) float64 {
	if v, ok := r.quotas[code]; ok {
		return v
	}
	for _, q := range quotas() {
		if q.Code == code {
			return q.Value
		}
	}
	return 0
}

// reached tells whether n resources use up a quota.
func (r *region) reached(code string, n int) bool { return float64(n) >= r.quota(code) }
