package identity

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// ServiceLinkedRole is a role through which an AWS service acts for the
// account. There is one of each per account, shared by all that use the
// service, so it is made when it is missing and never deleted.
//
// Most services make theirs when they are first used, if the caller may. EC2
// does not make the one for spot when an Auto Scaling group asks for spot
// instances (EC2 user guide, "Service-linked role for Spot Instance requests").
type ServiceLinkedRole struct {
	api     API
	service string
	arn     string
}

// NewServiceLinkedRole is the service-linked role of a service such as
// "spot.amazonaws.com".
func NewServiceLinkedRole(api API, service string) *ServiceLinkedRole {
	return &ServiceLinkedRole{api: api, service: service}
}

// ID implements [engine.Resource].
func (r *ServiceLinkedRole) ID() string { return "service-linked-role/" + r.service }

// Needs implements [engine.Resource].
func (r *ServiceLinkedRole) Needs() []engine.Resource { return nil }

// ARN is the role's ARN; empty while it does not exist.
func (r *ServiceLinkedRole) ARN() string { return r.arn }

// Observe implements [engine.Resource].
func (r *ServiceLinkedRole) Observe(ctx context.Context) (engine.Observation, error) {
	r.arn = ""
	// By path, which has the service in it; the names follow no rule.
	out, err := r.api.ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/aws-service-role/" + r.service + "/")})
	if err != nil {
		return engine.Observation{}, cloud.Wrap(r.ID(), "looking for the role", err)
	}
	if len(out.Roles) == 0 {
		return engine.Observation{}, nil
	}
	r.arn = aws.ToString(out.Roles[0].Arn)
	return engine.Observation{
		Exists: true, Detail: aws.ToString(out.Roles[0].RoleName),
		Keep: "it belongs to the account, which has one for everything that uses " + r.service,
	}, nil
}

// Apply implements [engine.Resource].
func (r *ServiceLinkedRole) Apply(ctx context.Context, p engine.Progress) error {
	p("creating the account's role for %s", r.service)
	out, err := r.api.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: &r.service})
	if err == nil {
		r.arn = aws.ToString(out.Role.Arn)
		return nil
	}
	// IAM answers InvalidInput when the role has been taken in the meantime.
	if obs, readErr := r.Observe(ctx); readErr == nil && obs.Exists {
		return nil
	}
	return cloud.Wrap(r.ID(), "creating the role", err)
}

// Delete implements [engine.Resource]; it leaves the role where it is.
func (r *ServiceLinkedRole) Delete(context.Context, engine.Progress) error { return nil }
