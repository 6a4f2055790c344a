package cloud

import (
	"regexp"

	"github.com/aws/smithy-go"
)

// launchCode finds the error code in Auto Scaling's account of a failed launch,
// as in "Could not launch Spot Instances. UnfulfillableCapacity - Unable to
// fulfill capacity …".
var launchCode = regexp.MustCompile(`(?:^|[.:]\s+)([A-Z][A-Za-z]+(?:\.[A-Za-z]+)*) - `)

// LaunchError makes an error of the words in which Auto Scaling or EKS say that
// an instance could not be launched, with the code that is in them, so that
// [IsCapacity], [IsQuota] and [Wrap] know it. Words without a code keep fallback.
func LaunchError(words, fallback string) error {
	code := fallback
	if m := launchCode.FindStringSubmatch(words); m != nil {
		code = m[1]
	}
	return &smithy.GenericAPIError{Code: code, Message: words, Fault: smithy.FaultServer}
}

// launchZone finds the zone in EC2's words on a lack of capacity.
var launchZone = regexp.MustCompile(`Availability Zone you requested \(([a-z0-9-]+)\)`)

// LaunchZone is the zone that the words on a failed launch name, or empty.
func LaunchZone(words string) string {
	if m := launchZone.FindStringSubmatch(words); m != nil {
		return m[1]
	}
	return ""
}
