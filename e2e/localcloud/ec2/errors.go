package ec2

import (
	"fmt"
	"net/http"
	"strings"

	"aicluster/e2e/localcloud/wire"
)

func fail(code, format string, args ...any) error {
	return &wire.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func errDryRun() error {
	return &wire.Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: http.StatusPreconditionFailed}
}

func invalidValue(format string, args ...any) error {
	return fail("InvalidParameterValue", format, args...)
}

func dependency(format string, args ...any) error {
	return fail("DependencyViolation", format, args...)
}

// kind is how EC2 speaks of one kind of resource when an id is wrong.
type kind struct {
	prefix    string // of ids, with the dash
	missing   string // error code of an id that does not exist
	malformed string // error code of an id that cannot be one
	words     string // of the message, with %s for the id
}

// Kinds of resources with the codes of the page "Error codes for the Amazon EC2
// API" and the words that EC2 answers.
var (
	kindVPC       = kind{"vpc-", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed", "The vpc ID '%s' does not exist"}
	kindSubnet    = kind{"subnet-", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed", "The subnet ID '%s' does not exist"}
	kindGateway   = kind{"igw-", "InvalidInternetGatewayID.NotFound", "InvalidInternetGatewayId.Malformed", "The internetGateway ID '%s' does not exist"}
	kindNAT       = kind{"nat-", "NatGatewayNotFound", "NatGatewayMalformed", "NatGateway %s was not found"}
	kindTable     = kind{"rtb-", "InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed", "The routeTable ID '%s' does not exist"}
	kindEndpoint  = kind{"vpce-", "InvalidVpcEndpointId.NotFound", "InvalidVpcEndpointId.Malformed", "The Vpc Endpoint Id '%s' does not exist"}
	kindGroup     = kind{"sg-", "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "The security group '%s' does not exist"}
	kindInterface = kind{"eni-", "InvalidNetworkInterfaceID.NotFound", "InvalidNetworkInterfaceID.Malformed", "The networkInterface ID '%s' does not exist"}
	kindInstance  = kind{"i-", "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed", "The instance ID '%s' does not exist"}
	kindVolume    = kind{"vol-", "InvalidVolume.NotFound", "InvalidVolumeID.Malformed", "The volume '%s' does not exist."}
	kindTemplate  = kind{"lt-", "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.Malformed", "The specified launch template, with template ID %s, does not exist."}
	kindAddress   = kind{"eipalloc-", "InvalidAllocationID.NotFound", "InvalidAllocationID.Malformed", "The allocation ID '%s' does not exist"}
	kindReserved  = kind{"cr-", "InvalidCapacityReservationId.NotFound", "InvalidCapacityReservationId.Malformed", "The capacity reservation ID '%s' does not exist"}
)

// lookup finds a resource that a call names by its id, or says what is wrong with
// the id. What was made a moment ago is not found yet.
func lookup[T any](t *table[T], k kind, id *string) (T, error) {
	var none T
	if id == nil || *id == "" {
		return none, fail("MissingParameter", "The request must contain the parameter %s", parameterName(k))
	}
	if v, ok := t.seen(*id); ok {
		return v, nil
	}
	if !wellFormed(k.prefix, *id) {
		if k == kindEndpoint { // terraform-aws-modules/terraform-aws-vpc#312 has the reply
			return none, fail(k.malformed, "Invalid Id: '%s' (expecting '%s...; the Id may only contain lowercase alphanumeric characters and a single dash')", *id, k.prefix)
		}
		return none, fail(k.malformed, "Invalid id: %q (expecting %q)", *id, k.prefix+"...")
	}
	return none, fail(k.missing, k.words, *id)
}

func parameterName(k kind) string {
	switch k {
	case kindVPC:
		return "vpcId"
	case kindSubnet:
		return "subnetId"
	case kindGroup:
		return "groupId"
	case kindAddress:
		return "allocationId"
	case kindTable:
		return "routeTableId"
	case kindGateway:
		return "internetGatewayId"
	}
	return strings.TrimSuffix(k.prefix, "-") + "Id"
}

// wellFormed tells whether id has the prefix and 8 or 17 hexadecimal digits.
func wellFormed(prefix, id string) bool {
	digits, ok := strings.CutPrefix(id, prefix)
	return ok && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == ""
}

// checkIDs makes sure that every id that a Describe call names exists: unlike a
// filter, an id that is not there is an error.
func checkIDs[T any](t *table[T], k kind, ids []string) error {
	for _, id := range ids {
		if t.shows(id) {
			continue
		}
		if _, err := lookup(t, k, &id); err != nil {
			return err
		}
	}
	return nil
}
