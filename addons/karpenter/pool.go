package karpenter

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

const (
	// fieldManager is the name under which the API server knows our fields.
	fieldManager = "aicluster"
	// requestLimit bounds one request to the API server.
	requestLimit = time.Minute
	// readyLimit bounds the wait until Karpenter finds a pool in order.
	readyLimit = 5 * time.Minute
	// goneLimit bounds the wait until Karpenter has ended a pool's nodes, as long
	// as none goes.
	goneLimit = 10 * time.Minute
)

// Cluster is what a pool needs of the control plane.
type Cluster interface {
	addons.Cluster
	// SecurityGroupID is the security group of control plane and nodes.
	SecurityGroupID() string
}

// Subnets tells the subnets for nodes in some zones, or in all if none is named.
type Subnets interface {
	PrivateSubnetIDs(zones ...string) []string
}

// Pool is what Karpenter may start for a pool, beside the pool's node group: a
// NodePool and its EC2NodeClass, both named like the pool.
type Pool struct {
	cluster Cluster
	subnets Subnets
	spec    spec
	needs   []engine.Resource
	connect func() (dynamic.Interface, error)

	// Release is the release of the EKS image that the pool's first nodes get when
	// the blueprint names none: that of the node groups.
	Release func() string

	unwanted bool
	live     *unstructured.Unstructured // NodePool; nil while it does not exist
	class    *unstructured.Unstructured // EC2NodeClass
	claims   int                        // nodes that Karpenter has or is starting
}

// NewPool makes the resource "karpenter/<pool>": beyond nodes at most, with the
// labels of the pool's node group, and the instance profile of that name.
func NewPool(cluster Cluster, subnets Subnets, owner cloud.Owner, pool blueprints.NodePool, beyond int, labels map[string]string, profile string, needs ...engine.Resource) *Pool {
	p := &Pool{
		cluster: cluster, subnets: subnets, needs: append([]engine.Resource{cluster}, needs...),
		spec: spec{pool: pool, beyond: beyond, owner: owner, labels: labels, profile: profile},
	}
	p.connect = func() (dynamic.Interface, error) { return connect(cluster) }
	return p
}

// NewRemoved is a NodePool that is not wanted any more; see [Discover].
func NewRemoved(cluster Cluster, name string, needs ...engine.Resource) *Pool {
	p := NewPool(cluster, nil, cloud.Owner{Cluster: cluster.Name()}, blueprints.NodePool{Name: name}, 0, nil, "", needs...)
	p.unwanted = true
	return p
}

func connect(cluster Cluster) (dynamic.Interface, error) {
	config, err := cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.Timeout, config.WarningHandler = requestLimit, rest.NoWarnings{}
	return dynamic.NewForConfig(config)
}

// ID implements engine.Resource.
func (p *Pool) ID() string { return "karpenter/" + p.spec.pool.Name }

// Needs implements engine.Resource.
func (p *Pool) Needs() []engine.Resource { return p.needs }

// Need adds to what the pool needs, before a graph is made of it.
func (p *Pool) Need(more ...engine.Resource) { p.needs = append(p.needs, more...) }

// Container implements engine.Inner. What Karpenter has started does not go with
// the cluster: see [Machines].
func (p *Pool) Container() engine.Resource { return p.cluster }

// Unwanted implements engine.Unwanted.
func (p *Pool) Unwanted() bool { return p.unwanted }

// Pool is the blueprint's pool.
func (p *Pool) Pool() blueprints.NodePool { return p.spec.pool }

// Beyond is how many nodes Karpenter may start.
func (p *Pool) Beyond() int { return p.spec.beyond }

// Nodes is how many nodes Karpenter had, or was starting, when the pool was last
// looked at.
func (p *Pool) Nodes() int { return p.claims }

// Exists tells whether the NodePool was there when it was last looked at.
func (p *Pool) Exists() bool { return p.live != nil }

// Observe implements engine.Resource.
func (p *Pool) Observe(ctx context.Context) (engine.Observation, error) {
	p.live, p.class, p.claims = nil, nil, 0
	if !p.cluster.Ready() {
		return engine.Observation{Changes: p.creation()}, nil
	}
	kube, err := p.connect()
	if err != nil {
		return engine.Observation{}, cloud.Wrap(p.ID(), "connecting to the cluster", err)
	}
	if err := p.read(ctx, kube); err != nil {
		return engine.Observation{}, cloud.Wrap(p.ID(), "reading the NodePool", err)
	}
	if p.live == nil && p.class == nil {
		return engine.Observation{Changes: p.creation()}, nil
	}
	obs := engine.Observation{Exists: true, Detail: nodes(p.claims) + " of Karpenter's"}
	if p.unwanted {
		return obs, nil
	}
	if p.live != nil {
		obs.Notes = []string{fmt.Sprintf("%s now; Karpenter owns the number between 0 and %d", nodes(p.claims), p.spec.beyond)}
	}
	obs.Changes, err = p.changes(ctx, kube)
	return obs, cloud.Wrap(p.ID(), "comparing the NodePool", err)
}

// nodes counts nodes in words.
func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

func (p *Pool) creation() []engine.Change {
	if p.unwanted {
		return nil
	}
	return []engine.Change{{
		Field: "nodes", Wanted: fmt.Sprintf("up to %d beyond the node group's, started by Karpenter", p.spec.beyond), Policy: engine.PolicyCreate,
	}}
}

func (p *Pool) read(ctx context.Context, kube dynamic.Interface) error {
	var err error
	if p.live, err = get(ctx, kube, nodePools, p.spec.pool.Name); err != nil {
		return err
	}
	if p.class, err = get(ctx, kube, nodeClasses, p.className()); err != nil {
		return err
	}
	p.claims, err = countClaims(ctx, kube, p.spec.pool.Name)
	return err
}

// className is the name of the EC2NodeClass: the pool's, or what a NodePool says
// that somebody else made.
func (p *Pool) className() string {
	if p.live != nil {
		if name, _, _ := unstructured.NestedString(p.live.Object, "spec", "template", "spec", "nodeClassRef", "name"); name != "" && p.unwanted {
			return name
		}
	}
	return p.spec.pool.Name
}

// get is nil for what does not exist, also when its kind does not.
func get(ctx context.Context, kube dynamic.Interface, kind schema.GroupVersionResource, name string) (*unstructured.Unstructured, error) {
	found, err := kube.Resource(kind).Get(ctx, name, metav1.GetOptions{})
	if absent(err) {
		return nil, nil
	}
	return found, err
}

func absent(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// countClaims counts the NodeClaims of a NodePool, each of which is a node or is
// to become one.
func countClaims(ctx context.Context, kube dynamic.Interface, pool string) (int, error) {
	list, err := kube.Resource(nodeClaims).List(ctx, metav1.ListOptions{LabelSelector: "karpenter.sh/nodepool=" + pool})
	if absent(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return len(list.Items), nil
}

// Apply implements engine.Resource.
func (p *Pool) Apply(ctx context.Context, progress engine.Progress) error {
	kube, err := p.connect()
	if err != nil {
		return cloud.Wrap(p.ID(), "connecting to the cluster", err)
	}
	for _, o := range p.wanted() {
		progress("applying the %s", o.GetKind())
		if _, err := p.apply(ctx, kube, o); err != nil {
			return cloud.Wrap(p.ID(), "applying the "+o.GetKind(), err)
		}
	}
	if err := p.waitReady(ctx, kube, progress); err != nil {
		return cloud.Wrap(p.ID(), "waiting until Karpenter takes the pool", err)
	}
	return cloud.Wrap(p.ID(), "reading the NodePool", p.read(ctx, kube))
}

// apply sends an object, to be stored or, with dryRun, only to be looked at.
func (p *Pool) apply(ctx context.Context, kube dynamic.Interface, o *unstructured.Unstructured, dryRun ...string) (*unstructured.Unstructured, error) {
	return kube.Resource(resourceOf(o)).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager, Force: true, DryRun: dryRun})
}

func resourceOf(o *unstructured.Unstructured) schema.GroupVersionResource {
	if o.GetKind() == "NodePool" {
		return nodePools
	}
	return nodeClasses
}

// wanted are the two objects as they are to be, the EC2NodeClass first.
func (p *Pool) wanted() []*unstructured.Unstructured {
	s := p.spec
	s.subnets = p.subnets.PrivateSubnetIDs(s.pool.Zones...)
	s.group, s.amiAlias = p.cluster.SecurityGroupID(), p.alias()
	return []*unstructured.Unstructured{
		p.object(nodeClasses, "EC2NodeClass", s.nodeClass()),
		p.object(nodePools, "NodePool", s.nodePool()),
	}
}

func (p *Pool) object(kind schema.GroupVersionResource, name string, spec object) *unstructured.Unstructured {
	for key, value := range spec {
		if value == nil {
			delete(spec, key)
		}
	}
	o := &unstructured.Unstructured{Object: object{"spec": spec}}
	o.SetAPIVersion(kind.GroupVersion().String())
	o.SetKind(name)
	o.SetName(p.spec.pool.Name)
	o.SetLabels(ownerLabels(p.cluster.Name()))
	return o
}

// alias is the image of the pool's nodes: the blueprint's, else the one that they
// have already, else that of the node groups. So nodes are alike until somebody
// wants otherwise, as in a node group.
func (p *Pool) alias() string {
	if alias := Alias(p.spec.pool.AMIRelease); alias != "" {
		return alias
	}
	if p.class != nil {
		terms, _, _ := unstructured.NestedSlice(p.class.Object, "spec", "amiSelectorTerms")
		for _, t := range terms {
			if term, ok := t.(object); ok {
				if alias, _ := term["alias"].(string); alias != "" {
					return alias
				}
			}
		}
	}
	if p.Release != nil {
		if alias := Alias(p.Release()); alias != "" {
			return alias
		}
	}
	return newestAlias
}

// waitReady waits until Karpenter says that both objects are in order. What is
// wrong with one it says in its conditions.
func (p *Pool) waitReady(ctx context.Context, kube dynamic.Interface, progress engine.Progress) error {
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		trouble := ""
		for _, kind := range []schema.GroupVersionResource{nodeClasses, nodePools} {
			o, err := kube.Resource(kind).Get(ctx, p.spec.pool.Name, metav1.GetOptions{})
			if err != nil {
				return true, err
			}
			if ready, why := isReady(o); !ready {
				trouble = o.GetKind() + ": " + why
				break
			}
		}
		switch {
		case trouble == "":
			return true, nil
		case time.Since(start) > readyLimit:
			return true, cloud.Fail(p.ID(), "waiting until Karpenter takes the pool", "it does not after "+readyLimit.String()+": "+trouble,
				"kubectl -n "+addons.KarpenterNamespace+" logs deployment/karpenter says more; then run 'aicluster up' again")
		}
		progress("waiting for Karpenter: %s", trouble)
		return false, nil
	})
}

// isReady reads the condition Ready of what the object says now, and if it is not
// ready the condition that is to blame.
func isReady(o *unstructured.Unstructured) (ready bool, why string) {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	why = "Karpenter has not looked at it yet"
	for _, c := range conditions {
		m, ok := c.(object)
		if !ok {
			continue
		}
		seen, _ := m["observedGeneration"].(int64)
		switch {
		case seen != 0 && seen < o.GetGeneration():
		case m["type"] == "Ready" && m["status"] == "True":
			return true, ""
		case m["type"] != "Ready" && m["status"] == "False":
			why = fmt.Sprintf("%v: %v", m["type"], m["message"])
		}
	}
	return false, why
}

// Delete implements engine.Resource. Karpenter drains and ends the pool's nodes;
// where it does not run, that is left to [Machines].
func (p *Pool) Delete(ctx context.Context, progress engine.Progress) error {
	if !p.cluster.Ready() {
		return nil
	}
	kube, err := p.connect()
	if err != nil {
		return cloud.Wrap(p.ID(), "connecting to the cluster", err)
	}
	if err := p.remove(ctx, kube, nodePools, p.spec.pool.Name); err != nil {
		return cloud.Wrap(p.ID(), "deleting the NodePool", err)
	}
	if err := p.waitGone(ctx, kube, progress); err != nil {
		return err
	}
	if err := p.remove(ctx, kube, nodeClasses, p.className()); err != nil {
		return cloud.Wrap(p.ID(), "deleting the EC2NodeClass", err)
	}
	p.live, p.class, p.claims = nil, nil, 0
	return nil
}

func (p *Pool) remove(ctx context.Context, kube dynamic.Interface, kind schema.GroupVersionResource, name string) error {
	background := metav1.DeletePropagationBackground
	err := kube.Resource(kind).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	if absent(err) {
		return nil
	}
	return err
}

// waitGone waits until Karpenter has ended the nodes of the pool. The garbage
// collector deletes their NodeClaims once the NodePool is gone.
func (p *Pool) waitGone(ctx context.Context, kube dynamic.Interface, progress engine.Progress) error {
	last, since := -1, time.Now()
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		n, err := countClaims(ctx, kube, p.spec.pool.Name)
		if err != nil || n == 0 {
			return true, err
		}
		if n != last {
			last, since = n, time.Now()
		}
		runs, err := karpenterRuns(ctx, kube)
		if err != nil {
			return true, err
		}
		if !runs {
			return true, &engine.SkippedError{Cause: "Karpenter, which does not run"}
		}
		if time.Since(since) > goneLimit {
			return true, cloud.Fail(p.ID(), "ending its nodes", fmt.Sprintf("Karpenter has ended none of %s in %s", nodes(n), goneLimit),
				"look for pods that cannot be evicted (kubectl get pdb -A), then run the same command again")
		}
		progress("%s to drain and terminate", nodes(n))
		return false, nil
	})
	if skipped := (*engine.SkippedError)(nil); errors.As(err, &skipped) {
		return skipped
	}
	return cloud.Wrap(p.ID(), "ending its nodes", err)
}

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// karpenterRuns tells whether a pod of Karpenter's is there to do its work.
func karpenterRuns(ctx context.Context, kube dynamic.Interface) (bool, error) {
	d, err := kube.Resource(deployments).Namespace(addons.KarpenterNamespace).Get(ctx, "karpenter", metav1.GetOptions{})
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, _, err := unstructured.NestedInt64(d.Object, "status", "availableReplicas")
	return n > 0, err
}
