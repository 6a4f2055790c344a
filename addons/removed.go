package addons

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/metadata"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// DiscoverAddons lists the add-ons of EKS on a cluster that carry its ownership
// tag, besides those of the known names. It returns none when the cluster does
// not exist.
func DiscoverAddons(ctx context.Context, api EKSAPI, cluster string, known ...string) ([]string, error) {
	var owned []string
	pages := eks.NewListAddonsPaginator(api, &eks.ListAddonsInput{ClusterName: &cluster})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if cloud.IsAbsent(err) {
			return nil, nil
		}
		if err != nil {
			return nil, cloud.Wrap("cluster/"+cluster, "listing its add-ons", err)
		}
		for _, name := range page.Addons {
			if slices.Contains(known, name) {
				continue
			}
			out, err := api.DescribeAddon(ctx, &eks.DescribeAddonInput{ClusterName: &cluster, AddonName: &name})
			if cloud.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, cloud.Wrap("addon/"+name, "looking at the add-on", err)
			}
			if out.Addon.Tags[cloud.TagCluster] == cluster {
				owned = append(owned, name)
			}
		}
	}
	return owned, nil
}

// NewRemovedEKSAddon is an add-on that the blueprint does not name any more; see
// [DiscoverAddons]. EKS takes the pod identity that it gave it away with it.
func NewRemovedEKSAddon(api EKSAPI, owner cloud.Owner, cluster Cluster, name string) *EKSAddon {
	a := NewEKSAddon(api, owner, cluster, Spec{Name: name})
	a.unwanted = true
	return a
}

// Need adds to what the add-on needs, before a graph is made of it.
func (a *EKSAddon) Need(more ...engine.Resource) { a.needs = append(a.needs, more...) }

// Unwanted implements engine.Unwanted.
func (a *EKSAddon) Unwanted() bool { return a.unwanted }

// observeUnwanted looks whether there is still anything to remove.
func (a *EKSAddon) observeUnwanted(ctx context.Context) (engine.Observation, error) {
	if !a.cluster.Ready() {
		return engine.Observation{}, nil
	}
	if err := a.describe(ctx); err != nil || a.live == nil {
		return engine.Observation{}, err
	}
	o := engine.Observation{Exists: a.live.Tags[cloud.TagCluster] == a.owner.Cluster, Detail: a.Version()}
	if o.Exists && slices.Contains([]string{"vpc-cni", "kube-proxy", "coredns"}, a.spec.Name) {
		o.Notes = []string{"new pods do not work without " + a.spec.Name + " until something else does its work"}
	}
	return o, nil
}

// DiscoverPodIdentities lists the service accounts of a namespace that have a role,
// by whomever they got it. It returns none when the cluster does not exist.
func DiscoverPodIdentities(ctx context.Context, api PodIdentityAPI, cluster, namespace string) ([]string, error) {
	var names []string
	pages := eks.NewListPodIdentityAssociationsPaginator(api, &eks.ListPodIdentityAssociationsInput{ClusterName: &cluster, Namespace: &namespace})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if cloud.IsAbsent(err) {
			return nil, nil
		}
		if err != nil {
			return nil, cloud.Wrap("cluster/"+cluster, "listing its pod identities", err)
		}
		for _, a := range page.Associations {
			names = append(names, aws.ToString(a.ServiceAccount))
		}
	}
	return names, nil
}

// NewRemovedPodIdentity is the pod identity of a service account to which the
// blueprint gives no role any more.
func NewRemovedPodIdentity(api PodIdentityAPI, owner cloud.Owner, cluster Cluster, namespace, serviceAccount string) *PodIdentity {
	i := NewPodIdentity(api, owner, cluster, namespace, serviceAccount, nil)
	i.unwanted = true
	return i
}

// Need adds to what the pod identity needs, before a graph is made of it.
func (i *PodIdentity) Need(more ...engine.Resource) { i.needs = append(i.needs, more...) }

// Unwanted implements engine.Unwanted.
func (i *PodIdentity) Unwanted() bool { return i.unwanted }

func (i *PodIdentity) observeUnwanted(ctx context.Context) (engine.Observation, error) {
	if !i.cluster.Ready() {
		return engine.Observation{}, nil
	}
	if err := i.find(ctx); err != nil || i.live == nil {
		return engine.Observation{}, err
	}
	return engine.Observation{Exists: i.live.Tags[cloud.TagCluster] == i.owner.Cluster, Detail: aws.ToString(i.live.AssociationId)}, nil
}

// ReleaseName is what Helm tells the releases of a cluster apart by.
type ReleaseName struct{ Namespace, Name string }

// DiscoverReleases lists the Helm releases on a cluster that we installed, by our
// label on their records. It returns none when the cluster is not ready.
func DiscoverReleases(ctx context.Context, cluster Cluster) ([]ReleaseName, error) {
	config, err := DiscoveryConfig(cluster)
	if config == nil || err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, cloud.Wrap(releasesID(cluster), "connecting to the cluster", err)
	}
	found, err := ownReleases(ctx, client, cluster.Name())
	return found, unreachable(releasesID(cluster), "looking for releases", err)
}

// ownReleases reads the labels of Helm's records but not the records, which hold
// whole charts.
func ownReleases(ctx context.Context, client metadata.Interface, cluster string) ([]ReleaseName, error) {
	selector := labels.Set{"owner": "helm"}
	for key, value := range OwnerLabels(cluster) {
		selector[key] = value
	}
	list, err := client.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, err
	}
	var found []ReleaseName
	for _, record := range list.Items {
		found = append(found, ReleaseName{Namespace: record.Namespace, Name: record.Labels["name"]})
	}
	slices.SortFunc(found, func(a, b ReleaseName) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return slices.Compact(found), nil // one for each revision
}

// NewRemovedRelease is a release that the blueprint does not name any more; see
// [DiscoverReleases]. id is the resource's, which the same chart in another
// namespace may have already.
func NewRemovedRelease(cluster Cluster, id string, name ReleaseName) *Release {
	spec := ReleaseSpec{Name: name.Name, Namespace: name.Namespace}
	if name == (ReleaseName{GPUOperatorNamespace, gpuOperatorName}) {
		spec.CRDs = gpuOperatorCRDs()
	}
	if name == (ReleaseName{MonitoringNamespace, prometheusStackName}) {
		spec.CRDs = prometheusCRDs()
	}
	if name == (ReleaseName{KarpenterNamespace, karpenterName}) {
		spec.CRDs = karpenterCRDs()
	}
	r := NewRelease(cluster, ChartSource{}, spec)
	r.id, r.unwanted = id, true
	return r
}

// Name is the release's name and namespace.
func (r *Release) Name() ReleaseName { return ReleaseName{r.spec.Namespace, r.spec.Name} }

// Need adds to what the release needs, before a graph is made of it.
func (r *Release) Need(more ...engine.Resource) { r.needs = append(r.needs, more...) }

// Unwanted implements engine.Unwanted.
func (r *Release) Unwanted() bool { return r.unwanted }

// UnknownReleases stands for the releases of a cluster that did not say which
// there are: a plan says so, and teardown lets them go with the cluster.
type UnknownReleases struct {
	cluster Cluster
	err     error
}

// NewUnknownReleases makes the resource "releases/<cluster>"; err is why they are
// not known.
func NewUnknownReleases(cluster Cluster, err error) *UnknownReleases {
	return &UnknownReleases{cluster: cluster, err: err}
}

func releasesID(cluster Cluster) string { return "releases/" + cluster.Name() }

// ID implements engine.Resource.
func (u *UnknownReleases) ID() string { return releasesID(u.cluster) }

// Needs implements engine.Resource.
func (u *UnknownReleases) Needs() []engine.Resource { return []engine.Resource{u.cluster} }

// Container implements engine.Inner.
func (u *UnknownReleases) Container() engine.Resource { return u.cluster }

// Unwanted implements engine.Unwanted.
func (u *UnknownReleases) Unwanted() bool { return true }

// Observe implements engine.Resource.
func (u *UnknownReleases) Observe(context.Context) (engine.Observation, error) {
	if !u.cluster.Ready() {
		return engine.Observation{}, nil
	}
	return engine.Observation{}, u.err
}

// Apply implements engine.Resource; there is nothing to make.
func (u *UnknownReleases) Apply(context.Context, engine.Progress) error { return nil }

// Delete implements engine.Resource; nothing is known to delete.
func (u *UnknownReleases) Delete(context.Context, engine.Progress) error { return nil }
