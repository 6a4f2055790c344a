package iam

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Default quotas (IAM User Guide, "IAM and AWS STS quotas"). White space does not
// count in documents. The words of a refusal name the quota and its value, as
// those about RolesPerAccount, ACLSizePerRole and PolicySize, which are AWS's.
const (
	rolesPerAccount     = 1000
	profilesPerAccount  = 1000
	policiesPerAccount  = 1500
	providersPerAccount = 100
	policiesPerRole     = 10
	trustChars          = 2048
	policyChars         = 6144
	inlineChars         = 10240 // all inline policies of a role together
	clientsPerProvider  = 100
)

func overQuota(name string, value int) error {
	return limitExceeded("Cannot exceed quota for %s: %d", name, value)
}

// checkTrustSize refuses a trust policy that is too long.
func checkTrustSize(document string) error {
	if compactLen(document) > trustChars {
		return overQuota("ACLSizePerRole", trustChars)
	}
	return nil
}

// ownRoles counts the roles that are not service-linked.
func (s *Service) ownRoles() (n int) {
	for _, r := range s.roles {
		if r.linked == "" {
			n++
		}
	}
	return n
}

// checkBoundary refuses a permissions boundary that is no policy.
func (s *Service) checkBoundary(arn *string) error {
	if arn == nil || s.policyExists(*arn) {
		return nil
	}
	return &types.NoSuchEntityException{Message: aws.String("Scope ARN: " + *arn + " does not exist or is not attachable.")}
}
