package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"aicluster/provision/cloud"
)

// The VPC's block is cut into eighths. The first four are private subnets, one
// a zone: nodes and pods live there, and the VPC CNI gives each pod an address
// of its own. The fifth is cut into eighths again for the public subnets, which
// hold only load balancers and NAT gateways. Three eighths stay free.
const (
	slots      = 4
	cutBits    = 3 // an eighth
	publicSlot = 4
)

// EC2's bounds for the size of a block (CreateVpc, CreateSubnet).
const (
	largestVPC     = 16
	smallestSubnet = 28
)

// assignBlocks gives each zone without blocks the first that are free. Blocks of
// subnets that exist stay as they are.
func assignBlocks(cidr string, zones []Zone) error {
	vpc, err := netip.ParsePrefix(cidr)
	if err != nil || !vpc.Addr().Is4() || vpc.Bits() < largestVPC || vpc.Bits()+2*cutBits > smallestSubnet {
		return cloud.Fail("network", "dividing network.cidr", fmt.Sprintf("%q is no IPv4 block between /%d and /%d", cidr, largestVPC, smallestSubnet-2*cutBits),
			"10.42.0.0/16 leaves room for thousands of pods")
	}
	used := map[netip.Prefix]bool{}
	for _, z := range zones {
		used[z.Private], used[z.Public] = true, true
	}
	for i := range zones {
		z := &zones[i]
		if z.Private.IsValid() && z.Public.IsValid() {
			continue
		}
		for slot := range slots {
			private, public := privateBlock(vpc, slot), publicBlock(vpc, slot)
			if z.Private.IsValid() && z.Private != private || z.Public.IsValid() && z.Public != public {
				continue // half of the pair exists, in another slot
			}
			if !z.Private.IsValid() && used[private] || !z.Public.IsValid() && used[public] {
				continue
			}
			z.Private, z.Public = private, public
			used[private], used[public] = true, true
			break
		}
		if !z.Private.IsValid() || !z.Public.IsValid() {
			return cloud.Fail("network", "dividing network.cidr", fmt.Sprintf("%s has no free block for subnets in %s", cidr, z.Name),
				"the subnets that exist do not fit network.cidr: it cannot be changed on a living cluster")
		}
	}
	return nil
}

func privateBlock(vpc netip.Prefix, slot int) netip.Prefix { return cut(vpc, slot) }

func publicBlock(vpc netip.Prefix, slot int) netip.Prefix { return cut(cut(vpc, publicSlot), slot) }

// cut is the n-th eighth of an IPv4 block.
func cut(p netip.Prefix, n int) netip.Prefix {
	p = p.Masked()
	bits := p.Bits() + cutBits
	a := p.Addr().As4()
	first := binary.BigEndian.Uint32(a[:]) + uint32(n)<<(32-bits)
	binary.BigEndian.PutUint32(a[:], first)
	return netip.PrefixFrom(netip.AddrFrom4(a), bits)
}
