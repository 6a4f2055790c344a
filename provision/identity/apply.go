package identity

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Apply implements [engine.Resource].
func (r *Role) Apply(ctx context.Context, p engine.Progress) error {
	if !r.live.exists {
		p("creating the role %s", r.spec.Name)
		if err := r.create(ctx); err != nil {
			return cloud.Wrap(r.ID(), "creating the role", err)
		}
	}
	steps := []struct {
		doing string
		do    func(context.Context) error
	}{
		{"setting who may assume the role", r.setTrust},
		{"tagging the role", r.setTags},
		{"attaching the role's policies", r.setAttached},
		{"writing the role's policies", r.setInline},
	}
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			return cloud.Wrap(r.ID(), s.doing, err)
		}
	}
	return nil
}

// create makes the role, or takes over the one that a call made whose reply was lost.
func (r *Role) create(ctx context.Context) error {
	out, err := r.api.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName:                 &r.spec.Name,
		AssumeRolePolicyDocument: aws.String(r.spec.Trust.JSON()),
		Description:              aws.String("Made by aicluster for the EKS cluster " + r.owner.Cluster + "."),
		Tags:                     cloud.IAMTags(r.owner.Tags("")),
	})
	if cloud.IsExists(err) {
		if readErr := r.read(ctx); readErr != nil {
			return readErr
		}
		if r.live.exists && r.live.tags[cloud.TagCluster] == r.owner.Cluster {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	r.arn = aws.ToString(out.Role.Arn)
	r.live = liveRole{exists: true, trust: r.spec.Trust.JSON(), tags: r.owner.Tags(""), inline: map[string]string{}}
	return nil
}

func (r *Role) setTrust(ctx context.Context) error {
	wanted := r.spec.Trust.JSON()
	if sameDocument(r.live.trust, wanted) {
		return nil
	}
	_, err := r.api.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &r.spec.Name, PolicyDocument: &wanted})
	if err == nil {
		r.live.trust = wanted
	}
	return err
}

func (r *Role) setTags(ctx context.Context) error {
	set := cloud.TagChanges(r.live.tags, r.owner.Tags(""))
	if len(set) == 0 {
		return nil
	}
	_, err := r.api.TagRole(ctx, &iam.TagRoleInput{RoleName: &r.spec.Name, Tags: cloud.IAMTags(set)})
	if err == nil {
		maps.Copy(r.live.tags, set)
	}
	return err
}

func (r *Role) setAttached(ctx context.Context) error {
	wanted := r.wantedARNs()
	for _, arn := range wanted {
		if slices.Contains(r.live.attached, arn) {
			continue
		}
		if _, err := r.api.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &r.spec.Name, PolicyArn: &arn}); err != nil {
			return err
		}
	}
	for _, arn := range r.live.attached {
		if slices.Contains(wanted, arn) {
			continue
		}
		if err := r.detach(ctx, arn); err != nil {
			return err
		}
	}
	r.live.attached = wanted
	return nil
}

func (r *Role) setInline(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(r.spec.Inline)) {
		wanted := r.spec.Inline[name].JSON()
		if live, ok := r.live.inline[name]; ok && sameDocument(live, wanted) {
			continue
		}
		if _, err := r.api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &r.spec.Name, PolicyName: &name, PolicyDocument: &wanted}); err != nil {
			return err
		}
		r.live.inline[name] = wanted
	}
	for _, name := range slices.Sorted(maps.Keys(r.live.inline)) {
		if _, ok := r.spec.Inline[name]; ok {
			continue
		}
		if err := r.deleteInline(ctx, name); err != nil {
			return err
		}
		delete(r.live.inline, name)
	}
	return nil
}

func (r *Role) detach(ctx context.Context, arn string) error {
	_, err := r.api.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &r.spec.Name, PolicyArn: &arn})
	if cloud.IsNotFound(err) {
		return nil
	}
	return err
}

func (r *Role) deleteInline(ctx context.Context, name string) error {
	_, err := r.api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &r.spec.Name, PolicyName: &name})
	if cloud.IsNotFound(err) {
		return nil
	}
	return err
}

// deleteLimit bounds how long a role may still be in use while it is deleted:
// EKS takes nodes' instance profiles away a little after their node group.
const deleteLimit = 2 * time.Minute

// Delete implements [engine.Resource]. IAM refuses to delete a role that has
// policies or is in an instance profile (DeleteRole, DeleteConflict).
func (r *Role) Delete(ctx context.Context, p engine.Progress) error {
	err := cloud.RetryWhile(ctx, deleteLimit, cloud.IsDependency, func(ctx context.Context) error {
		return r.delete(ctx, p)
	})
	if err != nil && !cloud.IsNotFound(err) {
		return cloud.Wrap(r.ID(), "deleting the role", err)
	}
	r.arn, r.live = "", liveRole{}
	return nil
}

func (r *Role) delete(ctx context.Context, p engine.Progress) error {
	p("detaching policies")
	arns, err := r.attached(ctx)
	if err != nil {
		return err
	}
	for _, arn := range arns {
		if err := r.detach(ctx, arn); err != nil {
			return err
		}
	}
	names, err := r.inlineNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.deleteInline(ctx, name); err != nil {
			return err
		}
	}
	if err := r.leaveProfiles(ctx); err != nil {
		return err
	}
	_, err = r.api.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &r.spec.Name})
	return err
}

// leaveProfiles takes the role out of the instance profiles that hold it.
func (r *Role) leaveProfiles(ctx context.Context) error {
	pages := iam.NewListInstanceProfilesForRolePaginator(r.api, &iam.ListInstanceProfilesForRoleInput{RoleName: &r.spec.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, profile := range page.InstanceProfiles {
			_, err := r.api.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{
				RoleName: &r.spec.Name, InstanceProfileName: profile.InstanceProfileName,
			})
			if err != nil && !cloud.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}
