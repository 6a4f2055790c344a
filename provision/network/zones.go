package network

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// EKS wants subnets in at least two zones (EKS user guide, "View Amazon EKS
// networking requirements"). A third is a third place to find GPUs in; more
// would split the address space further for little.
const (
	minZones = 2
	maxZones = 3
)

// noControlPlane lists the ids of zones in which EKS has no control planes (EKS
// user guide, "Subnet requirements for clusters").
var noControlPlane = []string{"use1-az3", "usw1-az2", "cac1-az3"}

// Zone is an availability zone of the network and the blocks of its subnets.
// The blocks of an existing VPC's zones are not known and not needed.
type Zone struct {
	Name string // "ap-northeast-2a"; differs between accounts
	ID   string // "apne2-az1"; the same for everybody

	Public, Private netip.Prefix
}

// Layout is where the network stands.
type Layout struct {
	Zones []Zone // sorted by name
	// PoolZones are the zones in which a pool's nodes can run: of the network's
	// zones those that offer at least one of its types, sorted.
	PoolZones map[string][]string
	// PoolTypes are a pool's instance types that its zones offer, in its own
	// order. EKS refuses a node group that names any other.
	PoolTypes map[string][]string
	// NATZones are the zones in which a NAT gateway or its address exists already.
	NATZones []string
}

// ZoneNames lists the layout's zones.
func (l Layout) ZoneNames() []string {
	names := make([]string, len(l.Zones))
	for i, z := range l.Zones {
		names[i] = z.Name
	}
	return names
}

// ChooseZones decides in which zones the network of b stands: those of subnets
// that exist, those that the blueprint names, and else those that offer the
// pools' instance types. It makes no mutating call. A pool for which there is no
// zone is an error that names the pool, the type and where it is offered.
func ChooseZones(ctx context.Context, api API, b *blueprints.Blueprint) (Layout, error) {
	if b.Network.VPCID != "" {
		if err := checkExisting(ctx, api, b); err != nil {
			return Layout{}, err
		}
	}
	c, err := newChoice(ctx, api, b)
	if err != nil {
		return Layout{}, err
	}
	if err := c.check(); err != nil {
		return Layout{}, err
	}
	var names []string
	switch {
	case b.Network.VPCID != "":
		names = slices.Sorted(maps.Keys(c.live))
	case len(b.Network.Zones) > 0:
		names = sortedUnion(b.Network.Zones, slices.Collect(maps.Keys(c.live)))
	default:
		if names, err = c.pick(); err != nil {
			return Layout{}, err
		}
	}
	return c.layout(names)
}

// LiveZones is the layout of what exists of b's network, for a teardown: it asks
// nothing about what AWS offers, and so cannot fail on it.
func LiveZones(ctx context.Context, api API, b *blueprints.Blueprint) (Layout, error) {
	if b.Network.VPCID != "" {
		return Layout{PoolZones: map[string][]string{}}, nil
	}
	live, err := liveZones(ctx, api, b)
	if err != nil {
		return Layout{}, err
	}
	nats, err := liveNATs(ctx, api, b)
	if err != nil {
		return Layout{}, err
	}
	tables, err := liveTables(ctx, api, b)
	if err != nil {
		return Layout{}, err
	}
	l := Layout{PoolZones: map[string][]string{}, NATZones: nats}
	for _, name := range sortedUnion(slices.Collect(maps.Keys(live)), slices.Concat(nats, tables)) {
		z := live[name]
		l.Zones = append(l.Zones, Zone{Name: name, ID: z.id, Public: z.public, Private: z.private})
	}
	return l, nil
}

// choice is what a decision about zones goes by.
type choice struct {
	b       *blueprints.Blueprint
	zones   map[string]string          // the region's usable zones: name -> id
	offered map[string]map[string]bool // instance type -> zone names of the region
	live    map[string]liveZone        // zones with subnets
	nats    []string
}

func newChoice(ctx context.Context, api API, b *blueprints.Blueprint) (*choice, error) {
	c := &choice{b: b, zones: map[string]string{}, offered: map[string]map[string]bool{}}
	out, err := api.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{
		Filters: []types.Filter{cloud.Filter("zone-type", "availability-zone"), cloud.Filter("state", "available")},
	})
	if err != nil {
		return nil, cloud.Wrap("network", "listing availability zones", err)
	}
	for _, z := range out.AvailabilityZones {
		if !slices.Contains(noControlPlane, aws.ToString(z.ZoneId)) {
			c.zones[aws.ToString(z.ZoneName)] = aws.ToString(z.ZoneId)
		}
	}
	if err := c.readOfferings(ctx, api); err != nil {
		return nil, err
	}
	if c.live, err = liveZones(ctx, api, b); err != nil {
		return nil, err
	}
	if c.nats, err = liveNATs(ctx, api, b); err != nil {
		return nil, err
	}
	for _, name := range c.nats {
		if _, ok := c.live[name]; !ok { // its subnets are gone, or were never made
			c.live[name] = liveZone{id: c.zones[name]}
		}
	}
	return c, nil
}

// readOfferings asks in which zones of the region the pools' types are offered.
func (c *choice) readOfferings(ctx context.Context, api API) error {
	var kinds []string
	for _, pool := range c.b.NodePools {
		kinds = append(kinds, pool.InstanceTypes...)
	}
	if kinds = sortedUnion(kinds, nil); len(kinds) == 0 {
		return nil
	}
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(api, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone,
		Filters:      []types.Filter{cloud.Filter("instance-type", kinds...)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return cloud.Wrap("network", "asking where the instance types are offered", err)
		}
		for _, o := range page.InstanceTypeOfferings {
			kind := string(o.InstanceType)
			if c.offered[kind] == nil {
				c.offered[kind] = map[string]bool{}
			}
			c.offered[kind][aws.ToString(o.Location)] = true
		}
	}
	return nil
}

// check finds what no choice can mend, and reports all of it.
func (c *choice) check() error {
	var faults, hints []string
	fault := func(hint, format string, args ...any) {
		faults = append(faults, fmt.Sprintf(format, args...))
		if !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	usable := strings.Join(slices.Sorted(maps.Keys(c.zones)), ", ")
	for _, z := range c.b.Network.Zones {
		if _, ok := c.zones[z]; !ok {
			fault("use some of "+usable, "network.zones: %s is no zone of %s in which EKS can run a cluster", z, c.b.Metadata.Region)
		}
	}
	for _, pool := range c.b.NodePools {
		for _, z := range pool.Zones {
			if _, ok := c.zones[z]; !ok {
				fault("use some of "+usable, "pool %s: %s is no zone of %s in which EKS can run a cluster", pool.Name, z, c.b.Metadata.Region)
			}
		}
		allowed := c.allowed(pool)
		if slices.ContainsFunc(allowed, func(z string) bool { return c.fits(pool, z) }) {
			continue // one type is enough; the others are left out
		}
		for _, kind := range pool.InstanceTypes {
			if everywhere := c.usableZones(kind); len(everywhere) == 0 {
				fault("choose another instance type or region", "pool %s: %s is not offered in any zone of %s", pool.Name, kind, c.b.Metadata.Region)
			} else {
				fault("choose zones or an instance type that fit each other", "pool %s: %s is not offered in %s, only in %s",
					pool.Name, kind, strings.Join(allowed, ", "), strings.Join(everywhere, ", "))
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return cloud.Fail("network", "choosing zones", strings.Join(faults, "; "), strings.Join(hints, "; "))
}

// usableZones lists the zones that offer a type and can be part of a network, sorted.
func (c *choice) usableZones(kind string) []string {
	var zones []string
	for z := range c.offered[kind] {
		if _, ok := c.zones[z]; ok {
			zones = append(zones, z)
		}
	}
	slices.Sort(zones)
	return zones
}

// allowed lists the zones to which the blueprint restricts a pool, or all, sorted.
func (c *choice) allowed(pool blueprints.NodePool) []string {
	switch {
	case len(pool.Zones) > 0:
		return sortedUnion(pool.Zones, nil)
	case c.b.Network.VPCID != "":
		return slices.Sorted(maps.Keys(c.live))
	case len(c.b.Network.Zones) > 0:
		return sortedUnion(c.b.Network.Zones, slices.Collect(maps.Keys(c.live)))
	}
	return slices.Sorted(maps.Keys(c.zones))
}

// fits tells whether a pool can have nodes in a zone.
func (c *choice) fits(pool blueprints.NodePool, zone string) bool {
	if len(pool.Zones) > 0 && !slices.Contains(pool.Zones, zone) {
		return false
	}
	return slices.ContainsFunc(pool.InstanceTypes, func(kind string) bool { return c.offered[kind][zone] })
}

// pick chooses zones: those with subnets, those that pools name, then one for
// each pool that has none yet, then those that serve the most pools until there
// are enough. Equal ones in the order of their names, so that the choice is the
// same each time.
func (c *choice) pick() ([]string, error) {
	chosen := map[string]bool{}
	for z := range c.live {
		chosen[z] = true
	}
	for _, pool := range c.b.NodePools {
		for _, z := range pool.Zones {
			chosen[z] = true
		}
	}
	served := func(pool blueprints.NodePool) bool {
		return slices.ContainsFunc(slices.Collect(maps.Keys(chosen)), func(z string) bool { return c.fits(pool, z) })
	}
	var unserved []blueprints.NodePool
	for {
		unserved = slices.DeleteFunc(slices.Clone(c.b.NodePools), served)
		if len(unserved) == 0 {
			break
		}
		chosen[c.best(unserved, chosen)] = true // check has found that each pool has a zone
	}
	for len(chosen) < maxZones && len(chosen) < len(c.zones) {
		chosen[c.best(c.b.NodePools, chosen)] = true
	}
	names := slices.Sorted(maps.Keys(chosen))
	if len(names) > max(maxZones, len(c.live)) {
		return nil, cloud.Fail("network", "choosing zones",
			fmt.Sprintf("the pools need %d zones (%s), and a network has at most %d", len(names), strings.Join(names, ", "), maxZones),
			"name fewer zones in the pools, or choose instance types that are offered together")
	}
	return names, nil
}

// best is the zone not yet chosen that serves the most of pools.
func (c *choice) best(pools []blueprints.NodePool, chosen map[string]bool) string {
	count := func(zone string) int {
		n := 0
		for _, pool := range pools {
			if c.fits(pool, zone) {
				n++
			}
		}
		return n
	}
	candidates := slices.DeleteFunc(slices.Sorted(maps.Keys(c.zones)), func(z string) bool { return chosen[z] })
	return slices.MinFunc(candidates, func(a, b string) int { return cmp.Compare(count(b), count(a)) })
}

// layout is the layout with these zones.
func (c *choice) layout(names []string) (Layout, error) {
	if len(names) < minZones {
		return Layout{}, cloud.Fail("network", "choosing zones",
			fmt.Sprintf("EKS needs subnets in at least %d zones, and there is only %s", minZones, cmp.Or(strings.Join(names, ", "), "none")),
			"name subnets or zones in at least two availability zones")
	}
	l := Layout{PoolZones: map[string][]string{}, PoolTypes: map[string][]string{}, NATZones: c.nats}
	for _, pool := range c.b.NodePools {
		zones := slices.DeleteFunc(slices.Clone(names), func(z string) bool { return !c.fits(pool, z) })
		if len(zones) == 0 {
			return Layout{}, cloud.Fail("network", "choosing zones",
				fmt.Sprintf("pool %s: none of %s is offered in the network's zones %s", pool.Name, strings.Join(pool.InstanceTypes, ", "), strings.Join(names, ", ")),
				"choose another instance type, or other zones")
		}
		l.PoolZones[pool.Name] = zones
		l.PoolTypes[pool.Name] = slices.DeleteFunc(slices.Clone(pool.InstanceTypes), func(kind string) bool {
			return !slices.ContainsFunc(zones, func(z string) bool { return c.offered[kind][z] })
		})
	}
	for _, name := range names {
		l.Zones = append(l.Zones, Zone{Name: name, ID: cmp.Or(c.zones[name], c.live[name].id), Public: c.live[name].public, Private: c.live[name].private})
	}
	if c.b.Network.VPCID != "" {
		return l, nil
	}
	return l, assignBlocks(c.b.Network.CIDR, l.Zones)
}

// sortedUnion is the sorted set of the strings of both.
func sortedUnion(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// AnyZones is a layout for b that was asked of nobody: with as many zones as a
// network has at least, and a NAT gateway in each. It is for those who want to
// know which kinds of resources there are.
func AnyZones(b *blueprints.Blueprint) Layout {
	l := Layout{PoolZones: map[string][]string{}}
	for i := range minZones {
		name := b.Metadata.Region + string(rune('a'+i))
		l.Zones = append(l.Zones, Zone{Name: name})
		l.NATZones = append(l.NATZones, name)
	}
	return l
}
