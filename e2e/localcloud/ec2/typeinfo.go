package ec2

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// typesJSON is what DescribeInstanceTypes answered in mid-2026, without
// connection tracking, for the families that clusters here are made of.
//
//go:embed types.json
var typesJSON []byte

//go:embed offerings.txt
var offeringsText string

// typeEntry is one instance type and where it is offered.
type typeEntry struct {
	info   types.InstanceTypeInfo
	family string
	zones  map[string]string // letters of zones by region; nil means everywhere
}

func loadTypes() map[string]*typeEntry {
	var infos []types.InstanceTypeInfo
	if err := json.Unmarshal(typesJSON, &infos); err != nil {
		panic(fmt.Sprintf("ec2: types.json: %v", err)) // embedded: cannot differ from what was tested
	}
	offered := map[string]map[string]string{}
	for line := range strings.Lines(offeringsText) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		offered[words[0]] = map[string]string{}
		for _, w := range words[1:] {
			region, zones, _ := strings.Cut(w, ":")
			offered[words[0]][region] = zones
		}
	}
	entries := map[string]*typeEntry{}
	for _, info := range infos {
		name := string(info.InstanceType)
		family, _, _ := strings.Cut(name, ".")
		entries[name] = &typeEntry{info: info, family: family, zones: offered[family]}
	}
	return entries
}

// in tells whether the type is offered in a zone.
func (t *typeEntry) in(region, zone string) bool {
	if zone == "us-east-1e" {
		return false
	}
	return t.zones == nil || strings.Contains(t.zones[region], strings.TrimPrefix(zone, region))
}

// offeredIn lists the region's zones with the type.
func (t *typeEntry) offeredIn(region string) []string {
	var zones []string
	for _, z := range zonesOf(region) {
		if t.in(region, z.name) {
			zones = append(zones, z.name)
		}
	}
	return zones
}

// InstanceType returns what an instance type offers.
func (s *Service) InstanceType(name string) (TypeInfo, bool) {
	t := s.types[name]
	if t == nil {
		return TypeInfo{}, false
	}
	i := t.info
	info := TypeInfo{
		Name: name, Architecture: string(i.ProcessorInfo.SupportedArchitectures[len(i.ProcessorInfo.SupportedArchitectures)-1]),
		VCPUs: int(*i.VCpuInfo.DefaultVCpus), MemoryMiB: int(*i.MemoryInfo.SizeInMiB), ENIs: int(*i.NetworkInfo.MaximumNetworkInterfaces),
		IPsPerENI: int(*i.NetworkInfo.Ipv4AddressesPerInterface), CardENIs: int(*i.NetworkInfo.NetworkCards[0].MaximumNetworkInterfaces), Info: i,
	}
	for _, u := range i.SupportedUsageClasses {
		info.UsageClasses = append(info.UsageClasses, string(u))
	}
	if i.GpuInfo != nil && len(i.GpuInfo.Gpus) > 0 {
		g := i.GpuInfo.Gpus[0]
		info.GPU = GPU{Name: aws.ToString(g.Name), Manufacturer: aws.ToString(g.Manufacturer), Count: int(aws.ToInt32(g.Count)), MemoryMiB: int(aws.ToInt32(g.MemoryInfo.SizeInMiB))}
	}
	if i.InstanceStorageInfo != nil {
		info.NVMeGB = int(aws.ToInt64(i.InstanceStorageInfo.TotalSizeInGB))
		for _, d := range i.InstanceStorageInfo.Disks {
			info.NVMeDisks += int(aws.ToInt32(d.Count))
		}
	}
	if e := i.NetworkInfo.EfaInfo; e != nil {
		info.EFA = int(aws.ToInt32(e.MaximumEfaInterfaces))
	}
	return info, true
}

// Offered tells whether a type is offered in a zone, or in any zone of the
// region when zone is empty.
func (s *Service) Offered(region, instanceType, zone string) bool {
	t := s.types[instanceType]
	if t == nil {
		return false
	}
	if zone == "" {
		return len(t.offeredIn(region)) > 0
	}
	return t.in(region, zone)
}

func registerTypes(w *wire.Server, a api) {
	handle(w, a.DescribeInstanceTypes)
	handle(w, a.DescribeInstanceTypeOfferings)
}

// typeNames are all types, sorted.
func (s *Service) typeNames() []string {
	names := make([]string, 0, len(s.types))
	for n := range s.types {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// DescribeInstanceTypes lists the types that the region offers.
func (a api) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput) (*ec2.DescribeInstanceTypesOutput, error) {
	region := wire.Region(ctx)
	var all []types.InstanceTypeInfo
	for _, name := range a.typeNames() {
		if t := a.types[name]; len(t.offeredIn(region)) > 0 {
			all = append(all, t.info)
		}
	}
	var ids, missing []string
	for _, t := range in.InstanceTypes {
		ids = append(ids, string(t))
		if !a.Offered(region, string(t), "") {
			missing = append(missing, string(t))
		}
	}
	if len(missing) > 0 {
		return nil, fail("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(missing, ", "))
	}
	kept, err := describe(all, ids, func(i types.InstanceTypeInfo) *string { return aws.String(string(i.InstanceType)) }, in.Filters, typeFilters(), nil)
	return &ec2.DescribeInstanceTypesOutput{InstanceTypes: kept}, err
}

func typeFilters() filters[types.InstanceTypeInfo] {
	return filters[types.InstanceTypeInfo]{
		"auto-recovery-supported":         func(i types.InstanceTypeInfo) []string { return yes(i.AutoRecoverySupported) },
		"bare-metal":                      func(i types.InstanceTypeInfo) []string { return yes(i.BareMetal) },
		"burstable-performance-supported": func(i types.InstanceTypeInfo) []string { return yes(i.BurstablePerformanceSupported) },
		"current-generation":              func(i types.InstanceTypeInfo) []string { return yes(i.CurrentGeneration) },
		"free-tier-eligible":              func(i types.InstanceTypeInfo) []string { return yes(i.FreeTierEligible) },
		"hypervisor":                      func(i types.InstanceTypeInfo) []string { return []string{string(i.Hypervisor)} },
		"instance-storage-supported":      func(i types.InstanceTypeInfo) []string { return yes(i.InstanceStorageSupported) },
		"instance-type":                   func(i types.InstanceTypeInfo) []string { return []string{string(i.InstanceType)} },
		"memory-info.size-in-mib":         func(i types.InstanceTypeInfo) []string { return number(*i.MemoryInfo.SizeInMiB) },
		"network-info.efa-supported":      func(i types.InstanceTypeInfo) []string { return yes(i.NetworkInfo.EfaSupported) },
		"network-info.maximum-network-cards": func(i types.InstanceTypeInfo) []string {
			return number(aws.ToInt32(i.NetworkInfo.MaximumNetworkCards))
		},
		"processor-info.supported-architecture": func(i types.InstanceTypeInfo) []string { return words(i.ProcessorInfo.SupportedArchitectures) },
		"supported-boot-mode":                   func(i types.InstanceTypeInfo) []string { return words(i.SupportedBootModes) },
		"supported-root-device-type":            func(i types.InstanceTypeInfo) []string { return words(i.SupportedRootDeviceTypes) },
		"supported-usage-class":                 func(i types.InstanceTypeInfo) []string { return words(i.SupportedUsageClasses) },
		"supported-virtualization-type":         func(i types.InstanceTypeInfo) []string { return words(i.SupportedVirtualizationTypes) },
		"vcpu-info.default-vcpus":               func(i types.InstanceTypeInfo) []string { return number(*i.VCpuInfo.DefaultVCpus) },
	}
}

func words[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// DescribeInstanceTypeOfferings lists where types are offered; the filter
// "instance-type" with a type that does not exist gives an empty list.
func (a api) DescribeInstanceTypeOfferings(ctx context.Context, in *ec2.DescribeInstanceTypeOfferingsInput) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	region := wire.Region(ctx)
	kind := in.LocationType
	if kind == "" {
		kind = types.LocationTypeRegion
	}
	var all []types.InstanceTypeOffering
	for _, name := range a.typeNames() {
		zones := a.types[name].offeredIn(region)
		if len(zones) > 0 && kind == types.LocationTypeRegion {
			zones = []string{region}
		}
		for _, location := range zones {
			if kind == types.LocationTypeAvailabilityZoneId {
				z, _ := findZone(region, location)
				location = z.id
			}
			all = append(all, types.InstanceTypeOffering{InstanceType: types.InstanceType(name), Location: aws.String(location), LocationType: kind})
		}
	}
	kept, err := describe(all, nil, func(o types.InstanceTypeOffering) *string { return o.Location }, in.Filters, filters[types.InstanceTypeOffering]{
		"instance-type": func(o types.InstanceTypeOffering) []string { return []string{string(o.InstanceType)} },
		"location":      func(o types.InstanceTypeOffering) []string { return one(o.Location) },
	}, nil)
	return &ec2.DescribeInstanceTypeOfferingsOutput{InstanceTypeOfferings: kept}, err
}
