package addons

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// ReleaseSpec says which Helm chart is to run on a cluster, and how.
type ReleaseSpec struct {
	Name      string // of the release; the resource is "addon/<name>"
	Namespace string // made when it does not exist
	Repo      string // URL of the chart repository, or oci://…
	Chart     string
	Version   string // exact
	Values    map[string]any

	// NamespaceLabels are set on the namespace, such as its pod security level.
	NamespaceLabels map[string]string
	// CRDs are the custom resource definitions, by name, that teardown removes
	// after the release; Helm itself leaves them.
	CRDs []string
	// CRDsFirst is another chart whose resource definitions must be there before
	// this one's pods start; nil if there is none.
	CRDsFirst *ReleaseSpec
	// Notes are remarks for the reader of a plan.
	Notes []string
}

// Release is a chart installed by Helm. Its record is the one that the helm
// command reads and writes, so that both can be used side by side.
type Release struct {
	id      string
	cluster Cluster
	source  ChartSource
	spec    ReleaseSpec
	needs   []engine.Resource
	connect func(ctx context.Context, p engine.Progress) (*session, error)

	unwanted bool // it is to go: see NewRemovedRelease

	values      map[string]any // canonical spec.Values
	valuesError error

	live *release.Release
}

// NewRelease makes the resource "addon/<name>". It needs the cluster and, in
// needs, what must run before its pods can: a node group, other add-ons.
func NewRelease(cluster Cluster, source ChartSource, spec ReleaseSpec, needs ...engine.Resource) *Release {
	r := &Release{id: "addon/" + spec.Name, cluster: cluster, source: source, spec: spec, needs: append([]engine.Resource{cluster}, needs...)}
	r.connect = func(ctx context.Context, p engine.Progress) (*session, error) {
		return connect(ctx, cluster, spec.Namespace, p)
	}
	r.values, r.valuesError = canonical(spec.Values)
	return r
}

// ID implements engine.Resource.
func (r *Release) ID() string { return r.id }

// Needs implements engine.Resource.
func (r *Release) Needs() []engine.Resource { return r.needs }

// Container implements engine.Inner.
func (r *Release) Container() engine.Resource { return r.cluster }

// Exists tells whether the release is installed, in whatever state.
func (r *Release) Exists() bool { return r.live != nil }

// Version is the installed chart's version, or empty.
func (r *Release) Version() string {
	if r.live == nil {
		return ""
	}
	return chartVersion(r.live)
}

// Status is Helm's word for the release's state, e.g. "deployed", or empty.
func (r *Release) Status() string {
	if r.live == nil {
		return ""
	}
	return string(r.live.Info.Status)
}

// Observe implements engine.Resource.
func (r *Release) Observe(ctx context.Context) (engine.Observation, error) {
	r.live = nil
	if r.valuesError != nil {
		return engine.Observation{}, cloud.Wrap(r.ID(), "reading its values", r.valuesError)
	}
	creation := engine.Observation{Notes: r.spec.Notes, Changes: []engine.Change{{Field: "version", Wanted: r.spec.Version, Policy: engine.PolicyCreate}}}
	if r.unwanted {
		creation = engine.Observation{}
	}
	if !r.cluster.Ready() {
		return creation, nil
	}
	s, err := r.connect(ctx, nil)
	if err != nil {
		return engine.Observation{}, cloud.Wrap(r.ID(), "connecting to the cluster", err)
	}
	if r.live, err = last(s, r.spec.Name); err != nil {
		return engine.Observation{}, unreachable(r.ID(), "looking for the release", err)
	}
	if r.live == nil || r.live.Info.Status == release.StatusUninstalled {
		r.live = nil
		return creation, nil
	}
	o := engine.Observation{Exists: true, Notes: r.spec.Notes, Detail: fmt.Sprintf("%s, namespace %s, revision %d", r.Version(), r.live.Namespace, r.live.Version)}
	if r.unwanted {
		return o, nil
	}
	o.Changes, err = r.changes()
	return o, err
}

// changes compares the live release with the wanted one.
func (r *Release) changes() ([]engine.Change, error) {
	var out []engine.Change
	if name := r.live.Chart.Name(); name != r.spec.Chart {
		out = append(out, engine.Change{Field: "chart", Live: name, Wanted: r.spec.Chart, Policy: engine.PolicyInPlace})
	}
	if live := r.Version(); !sameVersion(live, r.spec.Version) {
		out = append(out, engine.Change{Field: "version", Live: live, Wanted: r.spec.Version, Policy: engine.PolicyInPlace})
	}
	live, err := canonical(r.live.Config)
	if err != nil {
		return nil, cloud.Wrap(r.ID(), "reading the values that Helm holds", err)
	}
	out = append(out, valueChanges("values", live, r.values)...)
	if status := r.live.Info.Status; status != release.StatusDeployed {
		out = append(out, engine.Change{Field: "status", Live: string(status), Wanted: string(release.StatusDeployed),
			Policy: engine.PolicyInPlace, Hint: r.live.Info.Description})
	}
	return out, nil
}

// last is the newest record of a release, nil when there is none.
func last(s *session, name string) (*release.Release, error) {
	rel, err := s.helm.Releases.Last(name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	return rel, err
}

func chartVersion(rel *release.Release) string { return rel.Chart.Metadata.Version }

// sameVersion compares chart versions; some are written with a leading v and some without.
func sameVersion(a, b string) bool { return strings.TrimPrefix(a, "v") == strings.TrimPrefix(b, "v") }

// ownerLabels mark what we made in the cluster, as the tag does in AWS.
func (r *Release) ownerLabels() map[string]string { return OwnerLabels(r.cluster.Name()) }

// OwnerLabels are the labels of Kubernetes objects that belong to the tool
// itself. A label holds 63 characters where a cluster's name may have 100.
func OwnerLabels(cluster string) map[string]string {
	return map[string]string{cloud.TagCluster: strings.TrimRight(cluster[:min(len(cluster), 63)], "-_.")}
}

// foreignLockLimit is how long another Helm client's unfinished operation is
// waited for; it is Helm's own default timeout.
const foreignLockLimit = 5 * time.Minute

// lockedByOther tells that a client other than ours began an operation on the
// release a short time ago and may still be at it. An unfinished operation of
// our own is what a killed run left: going on with it is safe, because it sends
// the same objects.
func lockedByOther(rel *release.Release, now time.Time) bool {
	return rel.Info.Status.IsPending() && rel.Labels[cloud.TagCluster] == "" && now.Sub(rel.Info.LastDeployed.Time) < foreignLockLimit
}

// valuesCopy is a copy of the values for Helm, which writes into them.
func (r *Release) valuesCopy() map[string]any {
	c, err := canonical(r.values)
	if err != nil { // canonical values are JSON already
		return maps.Clone(r.values)
	}
	return c
}
