package blueprints

import (
	"regexp"
	"strings"
)

// Sizes of a new VPC, as bits of its prefix. AWS allows /16 to /28 for a VPC and
// a subnet alike; public subnets are a 64th of the VPC (provision/network).
const (
	largestVPC  = 16
	smallestVPC = 22
)

func validateNetwork(d *document, b *Blueprint) {
	n := b.Network
	given := func(field string) bool { return d.values["network."+field] != nil }
	switch {
	case given("vpcID") && !given("subnetIDs"):
		d.errorf("network.vpcID", "name at least two of its subnets, in different availability zones", "vpcID is given without subnetIDs")
	case given("subnetIDs") && !given("vpcID"):
		d.errorf("network.subnetIDs", "name their VPC too", "subnetIDs is given without vpcID")
	}
	for _, field := range []string{"cidr", "natGateways", "zones"} {
		if given("vpcID") && given(field) {
			d.errorf("network."+field, "remove it: an existing VPC is used as it is", "%s is for a new VPC, but vpcID names an existing one", field)
		}
	}
	validateVPC(d, n.CIDR)
	validateZones(d, "network.zones", n.Zones, b.Metadata.Region)
	if d.given("network.natGateways") && n.NATGateways == "none" {
		d.warnf("network.natGateways", "give the VPC interface endpoints for EKS, EC2, ECR and STS, and mirror the charts and images",
			"without NAT gateways the nodes cannot reach any registry outside AWS")
	}
}

// validateVPC checks the range of a new VPC. An overlap with the range of
// services cannot happen: EKS takes 10.100.0.0/16 or 172.20.0.0/16, whichever
// is free of the VPC (API KubernetesNetworkConfigRequest, serviceIpv4Cidr).
func validateVPC(d *document, cidr string) {
	const path = "network.cidr"
	p, ok := validateCIDR(d, path, cidr)
	if !ok {
		return
	}
	switch {
	case p.Bits() < largestVPC:
		d.errorf(path, "write a /16, such as 10.42.0.0/16", "%s is larger than a VPC may be (/16)", cidr)
	case p.Bits() > smallestVPC:
		d.errorf(path, "write a /16 if you can: every pod takes an address", "%s is too small to be divided into public and private subnets (at least /22)", cidr)
	case !isPrivate(p):
		d.errorf(path, "choose one of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10", "%s is not a private range", cidr)
	}
}

var (
	zoneLetter = regexp.MustCompile(`^[a-z]$`)
	localZone  = regexp.MustCompile(`^-[a-z0-9-]+$`)
)

func validateZones(d *document, path string, zones []string, region string) {
	if !d.given("metadata.region") {
		return
	}
	for i, zone := range zones {
		at := item(path, i)
		rest, ok := strings.CutPrefix(zone, region)
		switch {
		case !d.given(at), ok && zoneLetter.MatchString(rest):
		case ok && localZone.MatchString(rest):
			d.errorf(at, "name an availability zone such as "+region+"a", "%s is a local zone; a cluster's subnets cannot be there", zone)
		default:
			d.errorf(at, "its zones are "+region+"a, "+region+"b and so on", "%q is not an availability zone of %s", zone, region)
		}
	}
}
