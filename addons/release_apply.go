package addons

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

const (
	// readyLimit bounds the wait for a release's pods and load balancers.
	readyLimit = 15 * time.Minute
	// historyLimit is how many revisions of a release are kept, as by the helm command.
	historyLimit = 10
)

// Apply implements engine.Resource.
func (r *Release) Apply(ctx context.Context, p engine.Progress) error {
	s, err := r.connect(ctx, p)
	if err != nil {
		return cloud.Wrap(r.ID(), "connecting to the cluster", err)
	}
	if err := waitReachable(ctx, s.client); err != nil {
		return unreachable(r.ID(), "connecting to the cluster", err)
	}
	p("fetching chart %s %s", r.spec.Chart, r.spec.Version)
	c, err := r.source.Load(ctx, r.spec.Repo, r.spec.Chart, r.spec.Version)
	if err != nil {
		return chartError(r.ID(), err)
	}
	if err := r.ensureNamespace(ctx, s, p); err != nil {
		return err
	}
	if err := r.crdsFirst(ctx, s, p); err != nil {
		return err
	}
	if err := r.put(ctx, s, c, p); err != nil {
		return r.failure(ctx, err)
	}
	if r.live, err = last(s, r.spec.Name); err != nil {
		return unreachable(r.ID(), "looking at the release", err)
	}
	return nil
}

// crdsFirst makes the resource definitions of the chart that this one builds on.
func (r *Release) crdsFirst(ctx context.Context, s *session, p engine.Progress) error {
	other := r.spec.CRDsFirst
	if other == nil {
		return nil
	}
	p("fetching the resource definitions of chart %s %s", other.Chart, other.Version)
	c, err := r.source.Load(ctx, other.Repo, other.Chart, other.Version)
	if err != nil {
		return chartError(r.ID(), err)
	}
	if err := waitDyingCRDsGone(ctx, s.dyn, other.CRDs, p); err != nil {
		return cloud.Wrap(r.ID(), "waiting for old resource definitions", err)
	}
	return cloud.Wrap(r.ID(), "making the resource definitions of chart "+other.Chart, applyCRDs(ctx, s, c))
}

func chartError(id string, err error) error {
	wrapped := cloud.Wrap(id, "fetching the chart", err)
	var e *cloud.Error
	if errors.As(wrapped, &e) && e.Hint == "" {
		e.Hint = "check the version and the network; a site without internet sets AICLUSTER_CHART_MIRROR to a folder or URL with the charts"
	}
	return wrapped
}

// failure turns Helm's error into ours. An interruption stays one: some of
// Helm's errors keep only the words.
func (r *Release) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	wrapped := cloud.Wrap(r.ID(), "installing chart "+r.spec.Chart+" "+r.spec.Version, err)
	var e *cloud.Error
	if errors.As(wrapped, &e) && e.Hint == "" {
		e.Hint = fmt.Sprintf("see `kubectl get pods,events -n %s`; mend the cause and run up again: it goes on from here", r.spec.Namespace)
	}
	return wrapped
}

// put installs or upgrades, from whatever state an earlier run left.
func (r *Release) put(ctx context.Context, s *session, c *chart.Chart, p engine.Progress) error {
	// Takes the charts out of c that the values switch off, with their resource
	// definitions. Helm does it as well.
	if err := chartutil.ProcessDependenciesWithMerge(c, r.valuesCopy()); err != nil {
		return err
	}
	rel, err := r.waitForLock(ctx, s, p)
	if err != nil {
		return err
	}
	if rel == nil {
		return r.install(ctx, s, c, p)
	}
	installAnew, err := r.mend(ctx, s, rel, p)
	if err != nil {
		return err
	}
	if installAnew {
		return r.install(ctx, s, c, p)
	}
	return r.upgrade(ctx, s, c, p)
}

// waitForLock reads the release and waits while another client works on it.
func (r *Release) waitForLock(ctx context.Context, s *session, p engine.Progress) (rel *release.Release, err error) {
	err = cloud.Poll(ctx, func(context.Context) (bool, error) {
		if rel, err = last(s, r.spec.Name); err != nil {
			return true, err
		}
		if rel == nil || !lockedByOther(rel, time.Now()) {
			return true, nil
		}
		p("waiting: another Helm client has it %s since %s", rel.Info.Status, rel.Info.LastDeployed.Format(time.TimeOnly))
		return false, nil
	})
	return rel, err
}

// mend brings a release into a state that Helm can go on from. installAnew
// tells that it is gone and has to be installed.
func (r *Release) mend(ctx context.Context, s *session, rel *release.Release, p engine.Progress) (installAnew bool, err error) {
	status := rel.Info.Status
	switch {
	case status == release.StatusUninstalling || status == release.StatusUninstalled:
		p("finishing an earlier removal")
		return true, r.uninstall(ctx, s, p)
	case status.IsPending():
		// Helm takes this state for a lock. Its owner is gone.
		rel.SetStatus(release.StatusFailed, "interrupted in state "+string(status))
		if err := s.helm.Releases.Update(rel); err != nil {
			return false, fmt.Errorf("breaking a stale lock (%s): %w", status, err)
		}
	case status != release.StatusFailed:
		return false, nil
	}
	_, err = s.helm.Releases.Deployed(r.spec.Name)
	if err == nil {
		return false, nil // there is a good revision: upgrade from it
	}
	if !errors.Is(err, driver.ErrNoDeployedReleases) {
		return false, err
	}
	if resumable(rel) {
		p("going on with an unfinished installation")
		return false, nil
	}
	p("removing a failed installation")
	return true, r.uninstall(ctx, s, p)
}

// resumable tells that an upgrade completes a half-done first installation:
// every hook that an installation runs, an upgrade runs as well. That saves
// taking everything down, a load balancer included, to put it up again.
func resumable(rel *release.Release) bool {
	twin := map[release.HookEvent]release.HookEvent{release.HookPreInstall: release.HookPreUpgrade, release.HookPostInstall: release.HookPostUpgrade}
	for _, hook := range rel.Hooks {
		for _, event := range hook.Events {
			if also, ok := twin[event]; ok && !slices.Contains(hook.Events, also) {
				return false
			}
		}
	}
	return true
}

func (r *Release) install(ctx context.Context, s *session, c *chart.Chart, p engine.Progress) error {
	if err := waitDyingCRDsGone(ctx, s.dyn, r.spec.CRDs, p); err != nil {
		return err
	}
	p("installing %s %s", r.spec.Chart, c.Metadata.Version)
	// Helm skips definitions that are there, and then does not learn of their kinds:
	// another release may have made them a moment ago, see ReleaseSpec.CRDsFirst.
	if err := applyCRDs(ctx, s, c); err != nil {
		return err
	}
	do := action.NewInstall(s.helm)
	do.SkipCRDs = true
	do.ReleaseName, do.Namespace = r.spec.Name, r.spec.Namespace
	do.Wait, do.WaitForJobs, do.Timeout = true, true, readyLimit
	do.Labels = r.ownerLabels()
	_, err := do.Run(c, r.valuesCopy())
	return err
}

// upgrade goes to the wanted chart and values. Helm leaves a chart's CRDs alone
// after the first installation; here they follow the chart.
func (r *Release) upgrade(ctx context.Context, s *session, c *chart.Chart, p engine.Progress) error {
	p("upgrading to %s %s", r.spec.Chart, c.Metadata.Version)
	if err := applyCRDs(ctx, s, c); err != nil {
		return err
	}
	do := action.NewUpgrade(s.helm)
	do.Namespace, do.MaxHistory = r.spec.Namespace, historyLimit
	do.Wait, do.WaitForJobs, do.Timeout = true, true, readyLimit
	do.ResetValues = true // the blueprint is the whole truth
	do.Labels = r.ownerLabels()
	_, err := do.Run(r.spec.Name, c, r.valuesCopy())
	return err
}
