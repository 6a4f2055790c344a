package ec2

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

func registerSpot(w *wire.Server, a api) { handle(w, a.DescribeSpotPriceHistory) }

// DescribeSpotPriceHistory gives each pool one price, since six hours ago. It is
// about 38 % of the on-demand price of the type's size and differs by zone.
func (a api) DescribeSpotPriceHistory(ctx context.Context, in *ec2.DescribeSpotPriceHistoryInput) (*ec2.DescribeSpotPriceHistoryOutput, error) {
	region := wire.Region(ctx)
	since := time.Now().UTC().Truncate(time.Hour).Add(-6 * time.Hour)
	// A period has the prices of its time and the one that was in force when it began
	// (API reference, "StartTime").
	_ = in.StartTime
	if in.EndTime != nil && in.EndTime.Before(since) {
		return &ec2.DescribeSpotPriceHistoryOutput{SpotPriceHistory: []types.SpotPrice{}}, nil
	}
	var all []types.SpotPrice
	for _, name := range a.typeNames() {
		t := a.types[name]
		if len(in.InstanceTypes) > 0 && !slices.Contains(in.InstanceTypes, types.InstanceType(name)) || !slices.Contains(t.info.SupportedUsageClasses, types.UsageClassTypeSpot) {
			continue
		}
		for n, zoneName := range t.offeredIn(region) {
			z, _ := findZone(region, zoneName)
			if in.AvailabilityZone != nil && *in.AvailabilityZone != z.name || in.AvailabilityZoneId != nil && *in.AvailabilityZoneId != z.id {
				continue
			}
			if len(in.ProductDescriptions) > 0 && !slices.Contains(in.ProductDescriptions, "Linux/UNIX") {
				continue
			}
			all = append(all, types.SpotPrice{
				InstanceType: types.InstanceType(name), AvailabilityZone: aws.String(z.name), AvailabilityZoneId: aws.String(z.id),
				ProductDescription: types.RIProductDescriptionLinuxUnix, SpotPrice: aws.String(fmt.Sprintf("%.6f", t.spotPrice()*(1+0.04*float64(n)))), Timestamp: aws.Time(since),
			})
		}
	}
	kept, err := describe(all, nil, func(p types.SpotPrice) *string { return p.AvailabilityZone }, in.Filters, filters[types.SpotPrice]{
		"availability-zone":    func(p types.SpotPrice) []string { return one(p.AvailabilityZone) },
		"availability-zone-id": func(p types.SpotPrice) []string { return one(p.AvailabilityZoneId) },
		"instance-type":        func(p types.SpotPrice) []string { return []string{string(p.InstanceType)} },
		"product-description":  func(p types.SpotPrice) []string { return []string{string(p.ProductDescription)} },
		"spot-price":           func(p types.SpotPrice) []string { return one(p.SpotPrice) },
	}, nil)
	return &ec2.DescribeSpotPriceHistoryOutput{SpotPriceHistory: kept}, err
}

// spotPrice estimates dollars an hour from what the type consists of.
func (t *typeEntry) spotPrice() float64 {
	perGPU := map[string]float64{"A100": 1.9, "H100": 5.6, "H200": 6.5, "B200": 9, "A10G": 0.6, "L4": 0.45, "L40S": 1.3, "T4": 0.3}
	price := 0.0165*float64(*t.info.VCpuInfo.DefaultVCpus) + 0.0006*float64(*t.info.MemoryInfo.SizeInMiB)/1024
	if t.info.GpuInfo != nil {
		for _, g := range t.info.GpuInfo.Gpus {
			price += perGPU[aws.ToString(g.Name)] * float64(aws.ToInt32(g.Count))
		}
	}
	return price
}
