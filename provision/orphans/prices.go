package orphans

import (
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints/instancetypes"
)

// List prices of us-east-1 in US dollars, of 2026: an hour, or a GiB and month.
// Sources: aws.amazon.com/{vpc,eks,elasticloadbalancing,ebs,cloudwatch}/pricing.
const (
	natPrice      = 0.045
	addressPrice  = 0.005 // any public IPv4 address, used or not
	endpointPrice = 0.01  // of an interface endpoint, for each subnet; a gateway endpoint is free
	balancerPrice = 0.0225
	clusterPrice  = 0.10
	logGiBMonth   = 0.03
	fileGiBMonth  = 0.30 // of EFS Standard, without throughput

	hoursOfMonth = 730
	gib          = 1 << 30
)

// volumePrices are by type, a GiB and month, without extra IOPS and throughput.
var volumePrices = map[ec2types.VolumeType]float64{
	ec2types.VolumeTypeGp3: 0.08, ec2types.VolumeTypeGp2: 0.10, ec2types.VolumeTypeIo1: 0.125, ec2types.VolumeTypeIo2: 0.125,
	ec2types.VolumeTypeSt1: 0.045, ec2types.VolumeTypeSc1: 0.015, ec2types.VolumeTypeStandard: 0.05,
}

// instancePrice is on demand: spot costs less, and changes.
func instancePrice(name ec2types.InstanceType) float64 {
	info, _ := instancetypes.Lookup(string(name))
	return info.OnDemandUSD
}
