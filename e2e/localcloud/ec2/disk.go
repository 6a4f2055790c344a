package ec2

import (
	"cmp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// diskLimits are what a type of volume can be: sizes in GiB, throughput in MiB/s
// (EBS User Guide, "Amazon EBS volume types"; gp3's are those since 2025-09). Zero
// iops means that they cannot be set.
type diskLimits struct {
	minGiB, maxGiB     int32
	minIops, maxIops   int32
	iopsPerGiB         float64
	minMiBps, maxMiBps int32 // zero if it cannot be set
	mibpsPerIops       float64
}

func limitsOf(kind types.VolumeType) diskLimits {
	switch kind {
	case types.VolumeTypeGp3:
		return diskLimits{minGiB: 1, maxGiB: 65536, minIops: 3000, maxIops: 80000, iopsPerGiB: 500, minMiBps: 125, maxMiBps: 2000, mibpsPerIops: 0.25}
	case types.VolumeTypeIo1:
		return diskLimits{minGiB: 4, maxGiB: 16384, minIops: 100, maxIops: 64000, iopsPerGiB: 50}
	case types.VolumeTypeIo2:
		return diskLimits{minGiB: 4, maxGiB: 65536, minIops: 100, maxIops: 256000, iopsPerGiB: 1000}
	case types.VolumeTypeSt1, types.VolumeTypeSc1:
		return diskLimits{minGiB: 125, maxGiB: 16384}
	case types.VolumeTypeStandard:
		return diskLimits{minGiB: 1, maxGiB: 1024}
	}
	return diskLimits{minGiB: 1, maxGiB: 16384}
}

// checkDisk refuses a volume that its type cannot be. A size of 0 is the
// snapshot's.
func checkDisk(kind types.VolumeType, gib int32, iops, mibps *int32) error {
	kind = cmp.Or(kind, types.VolumeTypeGp2)
	l := limitsOf(kind)
	switch {
	case iops != nil && l.maxIops == 0:
		return fail("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", kind)
	case mibps != nil && l.maxMiBps == 0:
		return fail("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", kind)
	case iops == nil && (kind == types.VolumeTypeIo1 || kind == types.VolumeTypeIo2):
		return fail("MissingParameter", "The request must contain the parameter iops for %s volumes.", kind)
	case gib != 0 && gib < l.minGiB:
		return invalidValue("Volume of %dGiB is too small for volume type %s; minimum is %dGiB.", gib, kind, l.minGiB)
	case gib > l.maxGiB:
		return invalidValue("Volume of %dGiB is too large for volume type %s; maximum is %dGiB.", gib, kind, l.maxGiB)
	}
	return checkRates(l, gib, iops, mibps)
}

func checkRates(l diskLimits, gib int32, iops, mibps *int32) error {
	if n := aws.ToInt32(iops); iops != nil {
		switch {
		case n < l.minIops:
			return invalidValue("Volume iops of %d is too low; minimum is %d.", n, l.minIops)
		case n > l.maxIops:
			return invalidValue("Volume iops of %d is too high; maximum is %d.", n, l.maxIops)
		case gib > 0 && n > l.minIops && float64(n)/float64(gib) > l.iopsPerGiB:
			return invalidValue("Iops to volume size ratio of %f is too high; maximum is %.0f", float64(n)/float64(gib), l.iopsPerGiB)
		}
	}
	if n := aws.ToInt32(mibps); mibps != nil {
		rate := float64(n) / float64(cmp.Or(aws.ToInt32(iops), l.minIops))
		switch {
		case n < l.minMiBps:
			return invalidValue("Throughput of %d MiB/s is too low; minimum is %d MiB/s.", n, l.minMiBps)
		case n > l.maxMiBps:
			return invalidValue("Throughput of %d MiB/s is too high; maximum is %d MiB/s.", n, l.maxMiBps)
		case rate > l.mibpsPerIops:
			return invalidValue("Throughput (MiBps) to iops ratio of %f is too high; maximum is %f MiBps per iops.", rate, l.mibpsPerIops)
		}
	}
	return nil
}

// checkDisks refuses block devices that a launch cannot make. A template's are
// looked at only now: it is not validated when it is made ("Restrictions for
// Amazon EC2 launch templates").
func (p *plan) checkDisks() error {
	seen := map[string]bool{}
	for _, m := range p.data.BlockDeviceMappings {
		name := aws.ToString(m.DeviceName)
		switch {
		case name == "":
			return fail("MissingParameter", "The request must contain the parameter deviceName")
		case seen[name]:
			return fail("InvalidBlockDeviceMapping", "The device '%s' is used in more than one block-device mapping", name)
		case m.Ebs == nil && m.NoDevice == nil && m.VirtualName == nil:
			return fail("InvalidBlockDeviceMapping", "Block device mapping for '%s' needs one of ebs, noDevice or virtualName", name)
		}
		seen[name] = true
		if m.Ebs == nil {
			continue
		}
		gib := aws.ToInt32(m.Ebs.VolumeSize)
		if need := p.snapshotGiB(name); gib != 0 && gib < need {
			return fail("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", gib, p.snapshot(), need)
		}
		if gib == 0 && m.Ebs.SnapshotId == nil && p.snapshotGiB(name) == 0 {
			return fail("InvalidBlockDeviceMapping", "Block device mapping for '%s' needs a volume size or a snapshot", name)
		}
		if err := checkDisk(m.Ebs.VolumeType, gib, m.Ebs.Iops, m.Ebs.Throughput); err != nil {
			return err
		}
	}
	return nil
}

// snapshotGiB is the size of the image's snapshot for a device, 0 if it has none.
func (p *plan) snapshotGiB(device string) int32 {
	for _, m := range p.image.BlockDeviceMappings {
		if aws.ToString(m.DeviceName) == device && m.Ebs != nil {
			return aws.ToInt32(m.Ebs.VolumeSize)
		}
	}
	return 0
}

func (p *plan) snapshot() string {
	for _, m := range p.image.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.SnapshotId != nil {
			return *m.Ebs.SnapshotId
		}
	}
	return "snap-0" + fixedHex(aws.ToString(p.image.ImageId), 16)
}

// checkOptions refuses combinations of a launch's other options.
func (p *plan) checkOptions() error {
	if m := p.data.MetadataOptions; m != nil {
		// "Possible values: Integers from 1 to 64" (InstanceMetadataOptionsRequest).
		if hops := m.HttpPutResponseHopLimit; hops != nil && (*hops < 1 || *hops > 64) {
			return invalidValue("Value (%d) for parameter HttpPutResponseHopLimit is invalid. The hop limit must be between 1 and 64.", *hops)
		}
	}
	if x := p.data.IamInstanceProfile; x != nil && x.Arn != nil && x.Name != nil {
		return fail("InvalidParameterCombination", "'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'")
	}
	spec := p.data.CapacityReservationSpecification
	target := spec != nil && spec.CapacityReservationTarget != nil
	switch {
	case target && spec.CapacityReservationPreference != "" && spec.CapacityReservationPreference != types.CapacityReservationPreferenceCapacityReservationsOnly:
		return fail("InvalidParameterCombination", "CapacityReservationPreference and CapacityReservationTarget cannot be used together.")
	case target && p.market == Spot: // a reservation is for On-Demand Instances only
		return fail("InvalidParameterCombination", "A capacity reservation cannot be used with Spot Instances.")
	case p.capacityBlock && !target: // EC2 User Guide, "Launch instances using Capacity Blocks"
		return fail("InvalidParameterCombination", "The market type capacity-block requires a capacity reservation target.")
	}
	return nil
}
