package eks

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/controllers"
	"aicluster/e2e/localcloud/wire"
)

// addonInterval is how often an add-on's pods are looked at, addonRest the least
// of it for one that is ACTIVE: nobody waits for a change then.
const (
	addonInterval = 3 * time.Second
	addonRest     = 500 * time.Millisecond
)

// addonGrace is how long an add-on may be without its replicas before it is
// called DEGRADED.
const addonGrace = 5 * time.Minute

// addon is an EKS add-on; its fields are guarded by [Service].mu.
type addon struct {
	data    types.Addon
	request request         // that made it
	ctx     context.Context // ends when the deletion begins
	stop    context.CancelFunc
	done    chan struct{}
}

func (a *addon) output(c *cluster) *types.Addon {
	out := a.data
	out.Tags = maps.Clone(a.data.Tags)
	out.PodIdentityAssociations = c.associationsOf(*a.data.AddonArn)
	out.Health = &types.AddonHealth{Issues: slices.Clone(a.data.Health.Issues)}
	return &out
}

// CreateAddon installs an add-on: CREATING until its pods are healthy.
func (s *Service) CreateAddon(ctx context.Context, in *eks.CreateAddonInput) (*eks.CreateAddonOutput, error) {
	if err := checkNewTags(*in.ClusterName, "", in.Tags); err != nil {
		return nil, err
	}
	if err := s.checkAddonRoles(*in.ClusterName, *in.AddonName, in.ServiceAccountRoleArn, in.PodIdentityAssociations); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.active(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	name := *in.AddonName
	if old := c.addons[name]; old != nil {
		if again, err := old.request.again(requestOf(in.ClientRequestToken, in), c.key.name, ""); again || err != nil {
			return &eks.CreateAddonOutput{Addon: old.output(c)}, err
		}
		return nil, &types.ResourceInUseException{Message: aws.String("Addon already exists."), ClusterName: in.ClusterName, AddonName: in.AddonName}
	}
	version, err := s.addonVersion(c, name, in.AddonVersion, in.ConfigurationValues)
	if err != nil {
		return nil, err
	}
	a := &addon{request: requestOf(in.ClientRequestToken, in), done: make(chan struct{}), data: types.Addon{
		AddonName: in.AddonName, ClusterName: in.ClusterName, AddonVersion: &version, ConfigurationValues: in.ConfigurationValues,
		AddonArn:  aws.String(arn(c.key.region, "addon/"+c.key.name+"/"+name+"/"+uuid.NewString())),
		CreatedAt: now(), ModifiedAt: now(), Status: types.AddonStatusCreating, Health: &types.AddonHealth{Issues: []types.AddonIssue{}},
		ServiceAccountRoleArn: in.ServiceAccountRoleArn, Tags: maps.Clone(in.Tags),
		NamespaceConfig: &types.AddonNamespaceConfigResponse{Namespace: aws.String(addonInfos()[name].namespace)},
	}}
	if a.data.Tags == nil {
		a.data.Tags = map[string]string{}
	}
	if err := c.setAssociations(a, in.PodIdentityAssociations); err != nil {
		return nil, err
	}
	a.ctx, a.stop = context.WithCancel(c.ctx)
	c.addons[name] = a
	c.work.Go(func() { s.keepAddon(c, a, in.ResolveConflicts) })
	return &eks.CreateAddonOutput{Addon: a.output(c)}, nil
}

// checkAddonRoles refuses roles that an add-on cannot be given: of both kinds at
// once, or for a service account that takes none (CreateAddon's reference; words
// not found).
func (s *Service) checkAddonRoles(cluster, name string, role *string, associations []types.AddonPodIdentityAssociations) error {
	if role != nil && len(associations) > 0 {
		return invalidParameter(cluster, "", "ServiceAccountRoleArn and PodIdentityAssociations cannot be specified at the same time")
	}
	for _, p := range associations {
		if info, ok := addonInfos()[name]; ok && info.account != *p.ServiceAccount {
			return invalidParameter(cluster, "", "Addon %s does not support a pod identity association for service account %s", name, *p.ServiceAccount)
		}
		if err := s.checkPodRole(cluster, *p.RoleArn); err != nil {
			return err
		}
	}
	return nil
}

// setAssociations replaces the add-on's pod identity associations; s.mu is held.
func (c *cluster) setAssociations(a *addon, want []types.AddonPodIdentityAssociations) error {
	owner := *a.data.AddonArn
	maps.DeleteFunc(c.associations, func(_ string, have *types.PodIdentityAssociation) bool { return deref(have.OwnerArn) == owner })
	for _, p := range want {
		if _, err := c.associate(addonInfos()[*a.data.AddonName].namespace, *p.ServiceAccount, *p.RoleArn, owner, nil); err != nil {
			return err
		}
	}
	return nil
}

// addonVersion checks what is to be installed and returns its version, the
// default one if none was named; s.mu is held.
func (s *Service) addonVersion(c *cluster, name string, want, configuration *string) (string, error) {
	if _, ok := addonInfos()[name]; !ok {
		return "", invalidParameter(c.key.name, "", "Addon %s specified is not supported in %s Kubernetes version", name, *c.data.Version)
	}
	offered := controllers.AddonVersions(name, *c.data.Version)
	if len(offered) == 0 {
		return "", invalidParameter(c.key.name, "", "Addon %s specified is not supported in %s Kubernetes version", name, *c.data.Version)
	}
	version := or(want, offered[0])
	if !slices.Contains(offered, version) {
		return "", invalidParameter(c.key.name, "", "Addon version specified is not supported")
	}
	if _, err := controllers.Addon(name, version, deref(configuration)); err != nil {
		return "", invalidParameter(c.key.name, "", "ConfigurationValue provided in request is not supported: %v", err)
	}
	return version, nil
}

// keepAddon installs an add-on and then follows its health.
func (s *Service) keepAddon(c *cluster, a *addon, resolve types.ResolveConflicts) {
	defer close(a.done)
	if s.clock.Wait(a.ctx, clock.AddonCreate) != nil {
		return
	}
	s.mu.Lock()
	data := a.data
	s.mu.Unlock()
	if err := s.applyAddon(a.ctx, c, data, resolve != types.ResolveConflictsOverwrite); err != nil {
		s.addonStatus(a, types.AddonStatusCreateFailed, types.AddonIssueCodeConfigurationConflict, err.Error())
		return
	}
	health, err := controllers.NewAddonHealth(*data.AddonName)
	if err != nil {
		s.addonStatus(a, types.AddonStatusCreateFailed, types.AddonIssueCodeInternalFailure, err.Error())
		return
	}
	for since := time.Now(); ; {
		interval := s.scaled(addonInterval)
		status, healthy := s.checkAddon(c, a, health, since)
		if status == types.AddonStatusActive {
			interval = max(interval, addonRest)
		}
		if healthy {
			since = time.Now()
		}
		if !sleep(a.ctx, interval) {
			return
		}
	}
}

// checkAddon looks at the add-on's pods once and returns its status before, and
// whether it has its replicas. since is when it last had them, or its start: an
// active one, too, is called DEGRADED only after the grace, or every node that
// joins would degrade the add-ons that run on it.
func (s *Service) checkAddon(c *cluster, a *addon, health controllers.AddonHealth, since time.Time) (before types.AddonStatus, healthy bool) {
	s.mu.Lock()
	plane, status := c.plane, a.data.Status
	s.mu.Unlock()
	if plane == nil || status == types.AddonStatusUpdating || status == types.AddonStatusDeleting {
		return status, true
	}
	healthy, _ = health.Healthy(a.ctx, plane.Client())
	switch {
	case a.ctx.Err() != nil:
	case healthy:
		s.addonStatus(a, types.AddonStatusActive, "", "")
	case time.Since(since) > s.patience(addonGrace):
		s.addonStatus(a, types.AddonStatusDegraded, types.AddonIssueCodeInsufficientNumberOfReplicas,
			"The add-on is unhealthy because it doesn't have the desired number of replicas.")
	}
	return status, healthy
}

func (s *Service) addonStatus(a *addon, status types.AddonStatus, code types.AddonIssueCode, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.data.Status == types.AddonStatusDeleting || a.data.Status == types.AddonStatusUpdating && status != types.AddonStatusUpdateFailed {
		return
	}
	a.data.Status, a.data.Health.Issues = status, []types.AddonIssue{}
	if code != "" {
		a.data.Health.Issues = []types.AddonIssue{{Code: code, Message: aws.String(message)}}
	}
}

// DescribeAddon shows one add-on.
func (s *Service) DescribeAddon(ctx context.Context, in *eks.DescribeAddonInput) (*eks.DescribeAddonOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addon(ctx, in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	return &eks.DescribeAddonOutput{Addon: a.output(c)}, nil
}

func (s *Service) addon(ctx context.Context, clusterName, name *string) (*cluster, *addon, error) {
	c, err := s.cluster(wire.Region(ctx), clusterName)
	if err != nil {
		return nil, nil, err
	}
	a := c.addons[deref(name)]
	if a == nil {
		return nil, nil, noAddon(c.key.name, deref(name))
	}
	return c, a, nil
}

// ListAddons lists the names of a cluster's add-ons.
func (s *Service) ListAddons(ctx context.Context, in *eks.ListAddonsInput) (*eks.ListAddonsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	return &eks.ListAddonsOutput{Addons: sortedKeys(c.addons)}, nil
}

// UpdateAddon changes version, configuration or roles.
func (s *Service) UpdateAddon(ctx context.Context, in *eks.UpdateAddonInput) (*eks.UpdateAddonOutput, error) {
	if err := s.checkAddonRoles(*in.ClusterName, *in.AddonName, in.ServiceAccountRoleArn, in.PodIdentityAssociations); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addon(ctx, in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	asked := requestOf(in.ClientRequestToken, in)
	if u, err := c.repeated(asked, "", *in.AddonName); u != nil || err != nil {
		return &eks.UpdateAddonOutput{Update: u}, err
	}
	switch a.data.Status {
	case types.AddonStatusCreating, types.AddonStatusUpdating, types.AddonStatusDeleting:
		return nil, &types.ResourceInUseException{Message: aws.String("Addon " + *in.AddonName + " cannot be updated as it is currently in " + string(a.data.Status) + " state"), ClusterName: in.ClusterName, AddonName: in.AddonName}
	}
	version := in.AddonVersion
	if version == nil {
		version = a.data.AddonVersion
	}
	if _, err := s.addonVersion(c, *in.AddonName, version, in.ConfigurationValues); err != nil {
		return nil, err
	}
	params := []types.UpdateParam{param(types.UpdateParamTypeAddonVersion, *version)}
	if in.ResolveConflicts != "" {
		params = append(params, param(types.UpdateParamTypeResolveConflicts, string(in.ResolveConflicts)))
	}
	if in.ConfigurationValues != nil {
		params = append(params, param(types.UpdateParamTypeConfigurationValues, *in.ConfigurationValues))
	}
	if in.PodIdentityAssociations != nil {
		if err := c.setAssociations(a, in.PodIdentityAssociations); err != nil {
			return nil, err
		}
		params = append(params, param(types.UpdateParamTypePodIdentityAssociations, asJSON(in.PodIdentityAssociations)))
	}
	u := c.begin(types.UpdateTypeAddonUpdate, asked, params...)
	u.addon = *in.AddonName
	a.data.Status = types.AddonStatusUpdating
	next := a.data
	next.AddonVersion = version
	if in.ConfigurationValues != nil {
		next.ConfigurationValues = in.ConfigurationValues
	}
	if in.ServiceAccountRoleArn != nil {
		next.ServiceAccountRoleArn = in.ServiceAccountRoleArn
	}
	c.work.Go(func() { s.updateAddon(c, a, u, next, in.ResolveConflicts) })
	return &eks.UpdateAddonOutput{Update: u.output()}, nil
}

func (s *Service) updateAddon(c *cluster, a *addon, u *update, next types.Addon, resolve types.ResolveConflicts) {
	if s.clock.Wait(a.ctx, clock.AddonCreate) != nil {
		return
	}
	err := s.applyAddon(a.ctx, c, next, resolve == types.ResolveConflictsNone || resolve == "")
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.data.Status == types.AddonStatusDeleting {
		return
	}
	if err != nil {
		a.data.Status = types.AddonStatusUpdateFailed
		u.fail(types.ErrorCodeConfigurationConflict, err.Error(), *a.data.AddonName)
		return
	}
	a.data.AddonVersion, a.data.ConfigurationValues, a.data.ServiceAccountRoleArn = next.AddonVersion, next.ConfigurationValues, next.ServiceAccountRoleArn
	a.data.Status, a.data.ModifiedAt = types.AddonStatusActive, now()
	u.Status = types.UpdateStatusSuccessful
}

// DeleteAddon removes an add-on, or with preserve only EKS's hold on it.
func (s *Service) DeleteAddon(ctx context.Context, in *eks.DeleteAddonInput) (*eks.DeleteAddonOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addon(ctx, in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	if a.data.Status == types.AddonStatusDeleting {
		return &eks.DeleteAddonOutput{Addon: a.output(c)}, nil
	}
	a.data.Status = types.AddonStatusDeleting
	a.stop()
	data, preserve := a.data, in.Preserve
	c.work.Go(func() {
		<-a.done
		if s.clock.Wait(c.ctx, clock.AddonDelete) != nil {
			return
		}
		var err error
		if !preserve {
			err = s.removeAddon(c.ctx, c, data)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			a.data.Status = types.AddonStatusDeleteFailed
			a.data.Health.Issues = []types.AddonIssue{{Code: types.AddonIssueCodeInternalFailure, Message: aws.String(err.Error())}}
			return
		}
		_ = c.setAssociations(a, nil) // none to make: no error
		delete(c.addons, *data.AddonName)
	})
	return &eks.DeleteAddonOutput{Addon: a.output(c)}, nil
}
