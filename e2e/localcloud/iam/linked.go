package iam

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/uuid"
)

// linkedRole tells the name and the policy of a service's linked role (each
// service's page "Using service-linked roles").
func linkedRole(service string) (name, policy string, ok bool) {
	switch service {
	case "eks.amazonaws.com":
		return "AWSServiceRoleForAmazonEKS", "AmazonEKSServiceRolePolicy", true
	case "eks-nodegroup.amazonaws.com":
		return "AWSServiceRoleForAmazonEKSNodegroup", "AWSServiceRoleForAmazonEKSNodegroup", true
	case "autoscaling.amazonaws.com":
		return "AWSServiceRoleForAutoScaling", "AutoScalingServiceRolePolicy", true
	case "spot.amazonaws.com":
		return "AWSServiceRoleForEC2Spot", "AWSEC2SpotServiceRolePolicy", true
	case "spotfleet.amazonaws.com":
		return "AWSServiceRoleForEC2SpotFleet", "AWSEC2SpotFleetServiceRolePolicy", true
	case "elasticfilesystem.amazonaws.com":
		return "AWSServiceRoleForAmazonElasticFileSystem", "AmazonElasticFileSystemServiceRolePolicy", true
	case "elasticloadbalancing.amazonaws.com":
		return "AWSServiceRoleForElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy", true
	}
	return "", "", false
}

// LinkedRoleARN is the ARN that the linked role of a service has or would have.
func LinkedRoleARN(service string) string {
	name, _, ok := linkedRole(service)
	if !ok {
		name = "*"
	}
	return "arn:aws:iam::" + account + ":role/aws-service-role/" + service + "/" + name
}

// EnsureServiceLinkedRole makes the service-linked role of this service
// principal unless it exists, as services do on first use.
func (s *Service) EnsureServiceLinkedRole(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, _, ok := linkedRole(service); ok && s.roles[name] == nil {
		s.addLinked(service).unasked = true
	}
}

// HasServiceLinkedRole tells whether this service's linked role exists.
func (s *Service) HasServiceLinkedRole(service string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, _, _ := linkedRole(service)
	return s.roles[name] != nil
}

func (s *Service) addLinked(service string) *role {
	name, policy, _ := linkedRole(service)
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":[%q]},"Action":["sts:AssumeRole"]}]}`, service)
	r := s.addRole(name, "/aws-service-role/"+service+"/", trust)
	r.linked = service
	r.managed["arn:aws:iam::aws:policy/aws-service-role/"+policy] = true
	return r
}

// CreateServiceLinkedRole makes the role that a service runs with.
func (a api) CreateServiceLinkedRole(_ context.Context, in *iam.CreateServiceLinkedRoleInput) (*iam.CreateServiceLinkedRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	service := *in.AWSServiceName
	name, _, ok := linkedRole(service)
	if !ok {
		return nil, invalidInput("Service role template for service %s not found", service)
	}
	if suffix := aws.ToString(in.CustomSuffix); suffix != "" && service != "autoscaling.amazonaws.com" {
		return nil, invalidInput("Custom suffix is not allowed for %s", service)
	} else if suffix != "" {
		name += "_" + suffix
	}
	if a.roles[name] != nil {
		return nil, invalidInput("Service role name %s has been taken in this account, please try a different suffix.", name)
	}
	r := a.addLinked(service)
	if r.name != name {
		delete(a.roles, r.name)
		r.name = name
		a.roles[name] = r
	}
	r.description = aws.ToString(in.Description)
	out := r.output(false)
	return &iam.CreateServiceLinkedRoleOutput{Role: &out}, nil
}

// DeleteServiceLinkedRole deletes a service-linked role. AWS does it
// asynchronously and refuses while the service still needs it; that check is
// the services' and is not made here.
func (a api) DeleteServiceLinkedRole(_ context.Context, in *iam.DeleteServiceLinkedRoleInput) (*iam.DeleteServiceLinkedRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	if r.linked == "" {
		return nil, invalidInput("The role %s is not a service-linked role", r.name)
	}
	task := fmt.Sprintf("task%s%s/%s", r.path, r.name, uuid.NewString())
	delete(a.roles, r.name)
	a.deletions[task] = string(types.DeletionTaskStatusTypeSucceeded)
	return &iam.DeleteServiceLinkedRoleOutput{DeletionTaskId: aws.String(task)}, nil
}

// GetServiceLinkedRoleDeletionStatus tells how far a deletion is.
func (a api) GetServiceLinkedRoleDeletionStatus(_ context.Context, in *iam.GetServiceLinkedRoleDeletionStatusInput) (*iam.GetServiceLinkedRoleDeletionStatusOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	status, ok := a.deletions[*in.DeletionTaskId]
	if !ok {
		return nil, noSuchEntity("The deletion task with id %s cannot be found.", *in.DeletionTaskId)
	}
	return &iam.GetServiceLinkedRoleDeletionStatusOutput{Status: types.DeletionTaskStatusType(status)}, nil
}
