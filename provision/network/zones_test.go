package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

func TestChooseZones(t *testing.T) {
	spot := pool("spot", []string{"p4d.24xlarge", "p4de.24xlarge"})
	for _, test := range []struct {
		name    string
		pools   []blueprints.NodePool
		network []string // network.zones
		live    string   // letters of zones with subnets
		want    string   // letters
		gpu     string   // letters of pool gpu's zones
		types   string   // pool gpu's types, if it is checked
		err     string
	}{
		{name: "cpu only", pools: []blueprints.NodePool{system}, want: "abc"},
		{name: "where the GPUs are", pools: []blueprints.NodePool{system, gpu}, want: "abd", gpu: "bd"},
		{name: "live zones stay", pools: []blueprints.NodePool{system, gpu}, live: "ac", want: "abc", gpu: "b"},
		{name: "the blueprint's zones", pools: []blueprints.NodePool{system, gpu}, network: []string{"a", "d"}, want: "ad", gpu: "d"},
		{name: "the pool's zones", pools: []blueprints.NodePool{system, pool("gpu", []string{"p4d.24xlarge"}, region+"d")}, want: "abd", gpu: "d"},
		{name: "several types", pools: []blueprints.NodePool{system, gpu, spot}, want: "abd", gpu: "bd"},
		{name: "one type is offered nowhere", pools: []blueprints.NodePool{system, pool("gpu", []string{"p4d.24xlarge", "p5.48xlarge"})}, want: "abd", gpu: "bd", types: "p4d.24xlarge"},
		{name: "offered nowhere", pools: []blueprints.NodePool{pool("gpu", []string{"p5.48xlarge"})}, err: "pool gpu: p5.48xlarge is not offered in any zone of " + region},
		{name: "not in its zones", pools: []blueprints.NodePool{pool("gpu", []string{"p4d.24xlarge"}, region+"a")}, err: "pool gpu: p4d.24xlarge is not offered in " + region + "a, only in " + region + "b, " + region + "d"},
		{name: "not in the network's", pools: []blueprints.NodePool{gpu}, network: []string{"a", "c"}, err: "only in " + region + "b"},
		{name: "no such zone", pools: []blueprints.NodePool{system}, network: []string{"a", "z"}, err: region + "z is no zone"},
		{name: "one zone", pools: []blueprints.NodePool{system}, network: []string{"a"}, err: "at least 2 zones"},
		{name: "too many", pools: []blueprints.NodePool{pool("system", []string{"c6i.xlarge"}, region+"a", region+"b", region+"c", region+"d")}, err: "at most 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, b := newFake(), blueprint(test.pools...)
			for _, z := range test.network {
				b.Network.Zones = append(b.Network.Zones, region+z)
			}
			for i, letter := range test.live {
				zone := region + string(letter)
				f.subnets[zone] = &types.Subnet{
					SubnetId: &zone, AvailabilityZone: &zone, CidrBlock: aws.String(privateBlock(netip.MustParsePrefix("10.42.0.0/16"), i).String()),
					Tags: cloud.EC2Tags(cloud.Owner{Cluster: "demo"}.Tags(subnetName("demo", private, zone))),
				}
			}
			layout, err := ChooseZones(t.Context(), f, b)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := letters(layout.ZoneNames()); got != test.want {
				t.Errorf("zones %s, want %s", got, test.want)
			}
			if got := letters(layout.PoolZones["gpu"]); got != test.gpu {
				t.Errorf("the GPU pool's zones %s, want %s", got, test.gpu)
			}
			if got := strings.Join(layout.PoolTypes["gpu"], " "); test.types != "" && got != test.types {
				t.Errorf("the GPU pool's types %s, want %s", got, test.types)
			}
		})
	}
}

func TestNoControlPlaneZones(t *testing.T) {
	f := newFake()
	f.zoneIDs['b'] = "use1-az3"
	layout, err := ChooseZones(t.Context(), f, blueprint(system))
	if err != nil || letters(layout.ZoneNames()) != "acd" {
		t.Errorf("zones %v, %v", layout.ZoneNames(), err)
	}
}

func letters(zones []string) string {
	var b strings.Builder
	for _, z := range zones {
		b.WriteString(strings.TrimPrefix(z, region))
	}
	return b.String()
}
