package orphans

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/provision/cloud"
)

// IAMAPI is what the search uses of IAM.
type IAMAPI interface {
	iam.ListRolesAPIClient
	iam.ListInstanceProfilesAPIClient
	GetRole(context.Context, *iam.GetRoleInput, ...func(*iam.Options)) (*iam.GetRoleOutput, error)
}

// roles finds the cluster's roles by name and tag, and the instance profiles that
// hold one: EKS makes them for node groups, and one that is left over keeps its
// role from being deleted.
func (s *Search) roles(ctx context.Context) ([]Thing, error) {
	var found []Thing
	pages := iam.NewListRolesPaginator(s.IAM, &iam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, r := range page.Roles {
			if !s.mayBeRole(aws.ToString(r.RoleName)) {
				continue
			}
			t, err := s.role(ctx, aws.ToString(r.RoleName))
			if err != nil {
				return found, err
			}
			found = append(found, t...)
		}
	}
	profiles, err := s.profiles(ctx)
	return append(found, profiles...), err
}

// mayBeRole tells by its name that a role may have been made for the cluster.
func (s *Search) mayBeRole(name string) bool {
	return strings.HasPrefix(name, s.rolePrefix()) && hasRoleSuffix(name)
}

// role reads the tags, which a list of roles lacks: another cluster's name may
// begin like this one's.
func (s *Search) role(ctx context.Context, name string) ([]Thing, error) {
	out, err := s.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if cloud.IsNotFound(err) || cloud.IsDenied(err) { // the policy lets a caller read the cluster's roles
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range out.Role.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	t := Thing{Kind: "role", ID: name, Why: s.reason(tags), Remove: "aws iam delete-role --role-name " + name}
	switch owner, tagged := tags[cloud.TagCluster]; {
	case t.Why != "":
	case tagged && owner != s.Cluster:
		return nil, nil
	default:
		t.disown(whyNamed)
	}
	return []Thing{t}, nil
}

func (s *Search) profiles(ctx context.Context) ([]Thing, error) {
	var found []Thing
	pages := iam.NewListInstanceProfilesPaginator(s.IAM, &iam.ListInstanceProfilesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, p := range page.InstanceProfiles {
			name := aws.ToString(p.InstanceProfileName)
			i := slices.IndexFunc(p.Roles, func(r types.Role) bool { return s.mayBeRole(aws.ToString(r.RoleName)) })
			if len(p.Roles) == 0 && s.mayBeRole(name) { // ours is named like its role, which is gone
				found = append(found, Thing{Kind: "instance-profile", ID: name, Why: "its name", Remove: "aws iam delete-instance-profile --instance-profile-name " + name})
			}
			if i < 0 {
				continue
			}
			role := aws.ToString(p.Roles[i].RoleName)
			if things, err := s.role(ctx, role); err != nil || len(things) == 0 || things[0].Foreign {
				if err != nil {
					return found, err
				}
				continue
			}
			found = append(found, Thing{Kind: "instance-profile", ID: name, Why: "it holds the role " + role, inUse: true,
				Remove: "aws iam remove-role-from-instance-profile --instance-profile-name " + name + " --role-name " + role +
					" && aws iam delete-instance-profile --instance-profile-name " + name})
		}
	}
	return found, nil
}
