package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// Error is a failed call to AWS (or the cluster's API) on one resource: what
// was being done, AWS's code, words and request id, and what to do about it.
type Error struct {
	Resource  string // engine id or AWS name: "nodepool/gpu-a100"
	Doing     string // "creating the node group"
	Code      string // AWS's error code; empty when the call got no answer
	Message   string // AWS's words
	RequestID string
	Hint      string // what to do next
	Err       error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: ", e.Resource, e.Doing)
	if e.Code != "" {
		fmt.Fprintf(&b, "%s: %s", e.Code, e.Message)
	} else {
		b.WriteString(e.Message)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request id %s)", e.RequestID)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Wrap says on which resource and in doing what err happened. It returns nil
// for nil, and leaves an *Error as it is.
func Wrap(resource, doing string, err error) error {
	if err == nil {
		return nil
	}
	var already *Error
	if errors.As(err, &already) {
		return err
	}
	e := &Error{Resource: resource, Doing: doing, Err: err, Message: err.Error(), RequestID: requestID(err), Hint: hint(err)}
	var api smithy.APIError
	switch {
	case IsUnsupported(err):
		e.Message = unsupported(err)
	case errors.As(err, &api):
		e.Code, e.Message = api.ErrorCode(), api.ErrorMessage()
	default:
		e.Message = plain(err)
	}
	return e
}

// Fail is an error of our own finding on a resource, with what to do about it.
func Fail(resource, doing, message, hint string) error {
	return &Error{Resource: resource, Doing: doing, Message: message, Hint: hint}
}

// plain strips the SDK's wrapping from an error that is no answer of AWS.
func plain(err error) string {
	var op *smithy.OperationError
	if errors.As(err, &op) {
		err = op.Unwrap()
	}
	var dns *net.DNSError
	var dial *net.OpError
	switch {
	case isNoCredentials(err):
		return "no AWS credentials were found"
	case errors.As(err, &dns):
		return fmt.Sprintf("the host name %s cannot be resolved", dns.Name)
	case errors.As(err, &dial):
		return fmt.Sprintf("no connection to %v: %v", dial.Addr, dial.Err)
	}
	return err.Error()
}

// hint is what to do about the kinds of error that have one answer.
func hint(err error) string {
	var dns *net.DNSError
	var dial *net.OpError
	switch {
	case IsUnsupported(err):
		return "it stands in for AWS, but not in this: leave that part out of the blueprint, or unset AWS_ENDPOINT_URL to go to AWS"
	case isNoCredentials(err):
		return "log in (aws sso login), set AWS_PROFILE, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	case hasCode(err, expiredCodes...):
		return "the credentials have expired: log in again and run the same command again; it goes on where it stopped"
	case hasCode(err, invalidCredentialCodes...):
		return "AWS does not know these credentials: check AWS_PROFILE or the access key"
	case hasCode(err, accessCodes...), isUnauthorizedLaunch(err):
		return "the credentials lack this permission: 'aicluster iam-policy FILE' prints the policy that is needed"
	case IsQuota(err):
		return quotaHint(Code(err))
	case IsCapacity(err):
		return "AWS has no such instances there now: try other zones, more instance types, or later"
	case errors.As(err, &dns), errors.As(err, &dial):
		return "check the region's name, the network, and AWS_ENDPOINT_URL if it is set"
	}
	return ""
}

var (
	expiredCodes           = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
	invalidCredentialCodes = []string{"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
	accessCodes            = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden"} // the last: S3 to HEAD

	// Capacity codes of EC2 fleets and Auto Scaling.
	capacityCodes = []string{"InsufficientInstanceCapacity", "UnfulfillableCapacity", "InsufficientHostCapacity", "ReservationCapacityExceeded", "Unsupported"}
	quotaCodes    = []string{"VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "InstanceLimitExceeded", "AddressLimitExceeded", "VpcLimitExceeded", "NatGatewayLimitExceeded", "ResourceLimitExceededException", "LimitExceeded", "SubnetLimitExceeded"}
)

// isNoCredentials tells that the credential chain ended empty. The SDK has no
// type for it, only the failing step of its middleware.
func isNoCredentials(err error) bool {
	s := err.Error()
	return strings.Contains(s, "get identity: get credentials") || strings.Contains(s, "no EC2 IMDS role found")
}

// isUnauthorizedLaunch tells that EKS may not launch instances in the caller's
// name: it needs the caller to hold ec2:RunInstances, and says so only in words.
func isUnauthorizedLaunch(err error) bool {
	return hasCode(err, "InvalidRequestException", "InvalidParameterException") && strings.Contains(err.Error(), "not authorized to launch instances")
}

// Code is AWS's error code in err, or empty.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Message is AWS's words in err, without the SDK's wrapping, or err's own.
func Message(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return err.Error()
}

func hasCode(err error, codes ...string) bool {
	c := Code(err)
	return c != "" && slices.Contains(codes, c)
}

// IsNotFound tells that the resource does not exist: the codes of EKS, IAM, S3,
// EFS, logs and load balancing, and EC2's many "Invalid….NotFound".
func IsNotFound(err error) bool {
	c := Code(err)
	switch c {
	case "":
		return false
	case "ResourceNotFoundException", "NoSuchEntity", "NotFound", "NoSuchBucket", "NoSuchKey", "NoSuchLifecycleConfiguration",
		"NoSuchPublicAccessBlockConfiguration", "NoSuchBucketPolicy", "ServerSideEncryptionConfigurationNotFoundError", "NoSuchTagSet",
		"LoadBalancerNotFound", "TargetGroupNotFound", "NatGatewayNotFound", "InvalidAllocationID.NotFound", "Gateway.NotAttached",
		"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException", "FileSystemNotFound", "MountTargetNotFound",
		"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist":
		return true
	}
	return strings.HasPrefix(c, "Invalid") && (strings.HasSuffix(c, ".NotFound") || strings.HasSuffix(c, ".NotFoundException"))
}

// IsDenied tells that the credentials may not make the call.
func IsDenied(err error) bool { return hasCode(err, accessCodes...) }

// IsExists tells that something of that name exists already.
func IsExists(err error) bool {
	return hasCode(err, "EntityAlreadyExists", "ResourceInUseException", "InvalidLaunchTemplateName.AlreadyExistsException",
		"BucketAlreadyOwnedByYou", "ResourceAlreadyExistsException", "Resource.AlreadyAssociated", "InvalidPermission.Duplicate", "RouteAlreadyExists",
		"InvalidSubnet.Conflict", "FileSystemAlreadyExists", "MountTargetConflict", "InvalidGroup.Duplicate")
}

// IsCapacity tells that AWS lacks the instances.
func IsCapacity(err error) bool { return hasCode(err, capacityCodes...) }

// IsQuota tells that a limit of the account was met.
func IsQuota(err error) bool { return hasCode(err, quotaCodes...) }

// IsDependency tells that something still uses the resource that was to be deleted.
func IsDependency(err error) bool {
	return hasCode(err, "DependencyViolation", "DeleteConflict", "InvalidIPAddress.InUse", "ResourceInUseException", "ResourceInUse", "FileSystemInUse")
}

// IsDeletedLately tells that something of the same name was deleted too short a
// time ago: SQS wants 60 seconds between (API reference, CreateQueue).
func IsDeletedLately(err error) bool {
	return hasCode(err, "AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently")
}

// IsBusy tells that the resource is in the middle of another change, which ends
// by itself. EKS has one code for that and for name clashes; its words tell them apart.
func IsBusy(err error) bool {
	if !hasCode(err, "ResourceInUseException", "InvalidRequestException", "InvalidParameterException") {
		return false
	}
	s := err.Error()
	return strings.Contains(s, "update in progress") || strings.Contains(s, "not currently in Active State") ||
		strings.Contains(s, "not in Active State") || strings.Contains(s, "not in ACTIVE status")
}

// IsPropagation tells that IAM has not yet spread a new role to the service
// that was asked to use it. EKS answers with InvalidParameterException and
// these words (the list that the Terraform provider retries on, too).
func IsPropagation(err error) bool {
	if hasCode(err, "ResourcePropagationDelayException") {
		return true
	}
	if !hasCode(err, "InvalidParameterException", "InvalidRequestException") {
		return false
	}
	s := err.Error()
	for _, words := range []string{
		"does not exist",
		"Error Code: NoSuchEntity", // of a node role that IAM does not show yet
		"Error in role params",
		"could not be assumed because the trusted entity is not correct",
		"doesn't have the Amazon EKS Managed Policies associated with it",
		"IAM role's policy must include the `ec2:DescribeSubnets` action",
		"were not found in the trust relationships of nodeRole",
		"Failed to validate if SLR",
		"is not authorized to perform: sts:AssumeRole",
		"cannot be assumed by principal",
	} {
		if strings.Contains(s, words) {
			return true
		}
	}
	return false
}

// isThrottle tells that AWS turned a call away unread, to be asked again later.
func isThrottle(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary
}

// errNotListed is that EC2's lists do not show what a call has made.
var errNotListed = errors.New("AWS made it, but does not list it: run the same command again in a few minutes")

// IsTransient tells that the same call may succeed later: throttling, server
// faults, lost connections.
func IsTransient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || IsCapacity(err) {
		return false
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary || isThrottle(err)
}
