package cloud

import (
	"testing"

	"github.com/aws/smithy-go"
)

// TestIsPropagation has EKS's answers to a role, a subnet or a launch template
// that it does not see yet, word for word, and some that time does not heal.
func TestIsPropagation(t *testing.T) {
	const arn = "arn:aws:iam::111122223333:role/demo"
	for _, test := range []struct {
		code, words string
		heals       bool
	}{
		{"InvalidParameterException", "Role with arn: " + arn + ", could not be assumed because it does not exist or the trusted entity is not correct", true},
		{"InvalidParameterException", "Role could not be assumed because the trusted entity is not correct", true},
		{"InvalidParameterException", "Error in role params", true},
		{"InvalidParameterException", "The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following policies [arn:aws:iam::aws:policy/AmazonEKSClusterPolicy] are attached ", true},
		{"InvalidParameterException", "IAM role's policy must include the `ec2:DescribeSubnets` action", true},
		{"InvalidParameterException", "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole " + arn, true},
		{"InvalidParameterException", "The role with name demo cannot be found. (Service: AmazonIdentityManagement; Status Code: 404; Error Code: NoSuchEntity; Request ID: 1)", true},
		{"InvalidRequestException", "Failed to validate if SLR: AWSServiceRoleForAmazonEKSNodegroup already exists due to missing permissions for 'iam:GetRole'", true},
		{"InvalidParameterException", "The subnet ID 'subnet-0123456789abcdef0' does not exist (Service: Ec2, Status Code: 400)", true},
		{"InvalidRequestException", "Launch template lt-1 with version 1 could not be found: InvalidLaunchTemplateId.NotFound: The specified launch template, with template ID lt-1, does not exist.", true},
		{"ResourcePropagationDelayException", "words", true},
		{"InvalidParameterException", "Subnets specified must be in at least two different AZs", false},
		{"ResourceNotFoundException", "No cluster found for name: demo.", false},
		{"AccessDeniedException", "the role does not exist", false},
	} {
		if got := IsPropagation(&smithy.GenericAPIError{Code: test.code, Message: test.words}); got != test.heals {
			t.Errorf("%s: %s: %v, want %v", test.code, test.words, got, test.heals)
		}
	}
}
