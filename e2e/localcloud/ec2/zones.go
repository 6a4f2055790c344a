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

// zone is an availability zone.
type zone struct{ name, id string }

// shortNames are the regions' short names, of which zone ids are made, with the
// zones as letter and number. Which number is behind which letter differs from
// account to account (AWS RAM User Guide, "Availability Zone IDs"): these are
// those of one account.
func shortNames() map[string]string {
	return map[string]string{
		"us-east-1":      "use1 a6 b1 c2 d4 e3 f5",
		"us-east-2":      "use2 a1 b2 c3",
		"us-west-1":      "usw1 a3 c1",
		"us-west-2":      "usw2 a2 b1 c3 d4",
		"ca-central-1":   "cac1 a1 b2 d4",
		"sa-east-1":      "sae1 a1 b2 c3",
		"eu-west-1":      "euw1 a1 b2 c3",
		"eu-west-2":      "euw2 a2 b3 c1",
		"eu-west-3":      "euw3 a1 b2 c3",
		"eu-central-1":   "euc1 a2 b3 c1",
		"eu-north-1":     "eun1 a1 b2 c3",
		"ap-northeast-1": "apne1 a4 c1 d2",
		"ap-northeast-2": "apne2 a1 b2 c3 d4",
		"ap-south-1":     "aps1 a1 b3 c2",
		"ap-southeast-1": "apse1 a1 b2 c3",
		"ap-southeast-2": "apse2 a3 b1 c2",
	}
}

// zonesOf lists a region's zones by name. A region that the table lacks has a, b and c.
func zonesOf(region string) []zone {
	spec, ok := shortNames()[region]
	if !ok {
		spec = strings.ReplaceAll(region, "-", "") + " a1 b2 c3"
	}
	words := strings.Fields(spec)
	zones := make([]zone, 0, len(words)-1)
	for _, w := range words[1:] {
		zones = append(zones, zone{name: region + w[:1], id: fmt.Sprintf("%s-az%s", words[0], w[1:])})
	}
	return zones
}

// findZone finds a zone of the region by name or id.
func findZone(region, nameOrID string) (zone, bool) {
	for _, z := range zonesOf(region) {
		if z.name == nameOrID || z.id == nameOrID {
			return z, true
		}
	}
	return zone{}, false
}

// Zones lists the region's zones as name and id.
func (s *Service) Zones(region string) map[string]string {
	m := map[string]string{}
	for _, z := range zonesOf(region) {
		m[z.name] = z.id
	}
	return m
}

func registerZones(w *wire.Server, a api) {
	handle(w, a.DescribeAvailabilityZones)
	handle(w, a.DescribeRegions)
	handle(w, a.DescribeAccountAttributes)
}

// DescribeAvailabilityZones lists the region's zones; there are no local zones.
func (a api) DescribeAvailabilityZones(ctx context.Context, in *ec2.DescribeAvailabilityZonesInput) (*ec2.DescribeAvailabilityZonesOutput, error) {
	region := wire.Region(ctx)
	var all []types.AvailabilityZone
	for _, z := range zonesOf(region) {
		all = append(all, types.AvailabilityZone{
			ZoneName: aws.String(z.name), ZoneId: aws.String(z.id), RegionName: aws.String(region), GroupName: aws.String(region + "-zg-1"),
			NetworkBorderGroup: aws.String(region), State: types.AvailabilityZoneStateAvailable, ZoneType: aws.String("availability-zone"),
			OptInStatus: types.AvailabilityZoneOptInStatusOptInNotRequired, Messages: []types.AvailabilityZoneMessage{},
		})
	}
	for _, name := range in.ZoneNames {
		if !slices.ContainsFunc(zonesOf(region), func(z zone) bool { return z.name == name }) {
			return nil, invalidValue("Invalid availability zone: [%s]", name)
		}
	}
	for _, id := range in.ZoneIds {
		if !slices.ContainsFunc(zonesOf(region), func(z zone) bool { return z.id == id }) {
			return nil, invalidValue("Invalid availability zone-id: [%s]", id)
		}
	}
	kept, err := describe(all, append(slices.Clone(in.ZoneNames), in.ZoneIds...), func(z types.AvailabilityZone) *string {
		if len(in.ZoneNames) > 0 {
			return z.ZoneName
		}
		return z.ZoneId
	}, in.Filters, filters[types.AvailabilityZone]{
		"group-name":     func(z types.AvailabilityZone) []string { return one(z.GroupName) },
		"message":        func(types.AvailabilityZone) []string { return nil },
		"opt-in-status":  func(z types.AvailabilityZone) []string { return []string{string(z.OptInStatus)} },
		"parent-zone-id": func(z types.AvailabilityZone) []string { return one(z.ParentZoneId) },
		"region-name":    func(z types.AvailabilityZone) []string { return one(z.RegionName) },
		"state":          func(z types.AvailabilityZone) []string { return []string{string(z.State)} },
		"zone-id":        func(z types.AvailabilityZone) []string { return one(z.ZoneId) },
		"zone-name":      func(z types.AvailabilityZone) []string { return one(z.ZoneName) },
		"zone-type":      func(z types.AvailabilityZone) []string { return one(z.ZoneType) },
	}, nil)
	return &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: kept}, err
}

// DescribeRegions lists the regions of the table of zones, all without opt-in.
func (a api) DescribeRegions(_ context.Context, in *ec2.DescribeRegionsInput) (*ec2.DescribeRegionsOutput, error) {
	var all []types.Region
	for name := range shortNames() {
		all = append(all, types.Region{
			RegionName: aws.String(name), Endpoint: aws.String("ec2." + name + ".amazonaws.com"), OptInStatus: aws.String("opt-in-not-required"),
		})
	}
	slices.SortFunc(all, func(x, y types.Region) int { return strings.Compare(*x.RegionName, *y.RegionName) })
	for _, name := range in.RegionNames {
		if _, ok := shortNames()[name]; !ok {
			return nil, invalidValue("Invalid region names: [%s]", name)
		}
	}
	kept, err := describe(all, in.RegionNames, func(r types.Region) *string { return r.RegionName }, in.Filters, filters[types.Region]{
		"endpoint":      func(r types.Region) []string { return one(r.Endpoint) },
		"opt-in-status": func(r types.Region) []string { return one(r.OptInStatus) },
		"region-name":   func(r types.Region) []string { return one(r.RegionName) },
	}, nil)
	return &ec2.DescribeRegionsOutput{Regions: kept}, err
}

// DescribeAccountAttributes tells the account's old limits; there is no default VPC.
func (a api) DescribeAccountAttributes(_ context.Context, in *ec2.DescribeAccountAttributesInput) (*ec2.DescribeAccountAttributesOutput, error) {
	out := &ec2.DescribeAccountAttributesOutput{AccountAttributes: []types.AccountAttribute{}}
	for _, pair := range [][2]string{
		{"supported-platforms", "VPC"}, {"default-vpc", "none"}, {"max-instances", "20"},
		{"vpc-max-security-groups-per-interface", "5"}, {"max-elastic-ips", "5"}, {"vpc-max-elastic-ips", "5"},
	} {
		if len(in.AttributeNames) == 0 || slices.Contains(in.AttributeNames, types.AccountAttributeName(pair[0])) {
			out.AccountAttributes = append(out.AccountAttributes, types.AccountAttribute{
				AttributeName:   aws.String(pair[0]),
				AttributeValues: []types.AccountAttributeValue{{AttributeValue: aws.String(pair[1])}},
			})
		}
	}
	return out, nil
}
