package cloud

import "testing"

func TestLaunchError(t *testing.T) {
	for _, test := range []struct {
		words, code, zone string
		capacity, quota   bool
	}{
		{"Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient p4d.24xlarge capacity in the Availability Zone you requested (us-east-1d). Our system will be working on it.", "InsufficientInstanceCapacity", "us-east-1d", true, false},
		{"Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration.", "UnfulfillableCapacity", "", true, false},
		{"Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 0 allows.", "VcpuLimitExceeded", "", false, true},
		{"Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded. Launching EC2 instance failed.", "MaxSpotInstanceCountExceeded", "", false, true},
		{"Instances failed to join the kubernetes cluster", "NodeCreationFailure", "", false, false},
		{"", "NodeCreationFailure", "", false, false},
	} {
		err := LaunchError(test.words, "NodeCreationFailure")
		if Code(err) != test.code || IsCapacity(err) != test.capacity || IsQuota(err) != test.quota || LaunchZone(test.words) != test.zone {
			t.Errorf("%q: code %s, capacity %v, quota %v, zone %q", test.words, Code(err), IsCapacity(err), IsQuota(err), LaunchZone(test.words))
		}
	}
}
