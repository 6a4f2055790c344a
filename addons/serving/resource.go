package serving

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Model is the weights of a service, as the model store knows them.
type Model interface {
	// Size is what the model takes once it was observed; zero if it is not known.
	Size() blueprints.ModelSize
}

// Service is one service of the blueprint on a cluster.
type Service struct {
	cluster   addons.Cluster
	blueprint *blueprints.Blueprint
	svc       blueprints.Service
	model     Model
	needs     []engine.Resource
	unwanted  bool // it is to go: see NewRemoved

	// FileSystem tells the id of the EFS file system once it exists; nil where the
	// service does not load by efs.
	FileSystem func() string

	connect func() (connection, error)

	live *appsv1.Deployment
}

// New makes the resource "service/<name>". It needs the cluster and, in needs, what
// has to be there before its pods start: the namespace, their role, the model, the
// proof that the pool's GPUs work, the controllers of its routes. model may be nil.
func New(cluster addons.Cluster, b *blueprints.Blueprint, svc blueprints.Service, model Model, needs ...engine.Resource) *Service {
	return &Service{cluster: cluster, blueprint: b, svc: svc, model: model, needs: append([]engine.Resource{cluster}, needs...),
		connect: func() (connection, error) { return connect(cluster) }}
}

// NewRemoved is a service that the blueprint does not name any more; see [Discover].
func NewRemoved(cluster addons.Cluster, b *blueprints.Blueprint, name string, needs ...engine.Resource) *Service {
	s := New(cluster, b, blueprints.Service{Name: name}, nil, needs...)
	s.unwanted = true
	return s
}

// ID implements engine.Resource.
func (s *Service) ID() string { return "service/" + s.svc.Name }

// Needs implements engine.Resource.
func (s *Service) Needs() []engine.Resource { return s.needs }

// Need adds to what the service needs, before a graph is made of it.
func (s *Service) Need(more ...engine.Resource) { s.needs = append(s.needs, more...) }

// Container implements engine.Inner.
func (s *Service) Container() engine.Resource { return s.cluster }

// Unwanted implements engine.Unwanted.
func (s *Service) Unwanted() bool { return s.unwanted }

// Spec is the service as the blueprint has it.
func (s *Service) Spec() blueprints.Service { return s.svc }

// facts are what is known now.
func (s *Service) facts() Facts {
	var f Facts
	if s.model != nil {
		f.ModelBytes = s.model.Size().Files
	}
	if s.FileSystem != nil {
		f.FileSystem = s.FileSystem()
	}
	return f
}

// owned picks what was made for the service.
func (s *Service) owned() labels.Set {
	set := labels.Set{labelInstance: s.svc.Name, labelManagedBy: FieldManager}
	for k, v := range addons.OwnerLabels(s.cluster.Name()) {
		set[k] = v
	}
	return set
}

// Observe implements engine.Resource. It asks the API server what applying would
// change, and looks for what is not wanted any more.
func (s *Service) Observe(ctx context.Context) (engine.Observation, error) {
	s.live = nil
	creation := s.creation()
	if !s.cluster.Ready() {
		return creation, nil
	}
	c, err := s.connect()
	if err != nil {
		return engine.Observation{}, cloud.Wrap(s.ID(), "connecting to the cluster", err)
	}
	certificate, err := s.tlsNotes(ctx, c)
	if err != nil {
		return engine.Observation{}, addons.Unreachable(s.ID(), "looking at its certificate", err)
	}
	creation.Notes = append(creation.Notes, certificate...)
	extra, err := s.extra(ctx, c)
	if err != nil {
		return engine.Observation{}, addons.Unreachable(s.ID(), "looking at its objects", err)
	}
	if s.unwanted {
		return engine.Observation{Exists: len(extra) > 0, Detail: "namespace " + Namespace}, nil
	}
	changes, missing, err := s.changes(ctx, c)
	if err != nil {
		return engine.Observation{}, addons.Unreachable(s.ID(), "comparing its objects", err)
	}
	for _, e := range extra {
		changes = append(changes, engine.Change{Field: strings.ToLower(e.kind.Kind), Live: e.name, Policy: engine.PolicyDelete})
	}
	if s.live == nil {
		if missing { // nothing is there, or half of it
			return creation, nil
		}
		creation.Changes = append(creation.Changes, changes...)
		return creation, nil
	}
	o := engine.Observation{Exists: true, Detail: s.detail(), Notes: creation.Notes, Changes: append(s.refused(), changes...)}
	if unready := s.unready(); len(o.Changes) == 0 && unready != "" {
		o.Changes = []engine.Change{{Field: "replicas", Live: unready, Wanted: "ready", Policy: engine.PolicyVerify}}
	}
	return o, nil
}

// creation is what a plan says of a service that does not exist.
func (s *Service) creation() engine.Observation {
	if s.unwanted {
		return engine.Observation{}
	}
	svc := s.svc
	o := engine.Observation{Notes: s.notes(), Changes: s.refused()}
	add := func(field string, wanted any) {
		o.Changes = append(o.Changes, engine.Change{Field: field, Wanted: wanted, Policy: engine.PolicyCreate})
	}
	add("model", svc.Model)
	add("pool", svc.Pool)
	add("gpus", svc.GPUs)
	if a := svc.Autoscaling; a != nil {
		add("autoscaling", fmt.Sprintf("%d to %d replicas, %d requests each", a.Min, a.Max, a.Target))
	} else if svc.Replicas != nil {
		add("replicas", *svc.Replicas)
	}
	add("load", string(svc.Load))
	add("image", svc.Image)
	if svc.Resources != nil {
		add("resources.requests", svc.Resources.Requests)
	}
	if svc.Host != "" {
		add("host", svc.Host)
	}
	return o
}

// notes are remarks for the reader of a plan.
func (s *Service) notes() []string {
	if s.svc.RollingUpdate == "surge" || s.svc.Autoscaling != nil && s.svc.Autoscaling.Min > 1 || s.svc.Replicas != nil && *s.svc.Replicas != 1 {
		return nil
	}
	return []string{"it has one replica: a change of it takes the service away until the new one has loaded; 'rollingUpdate: surge' avoids that with GPUs to spare"}
}

// refused is why the service cannot be as the blueprint says: what is known only
// once the model's size is.
func (s *Service) refused() []engine.Change {
	pool := s.blueprint.Pool(s.svc.Pool)
	if pool == nil || s.model == nil {
		return nil
	}
	why, hint := pool.TooSmallFor(s.svc, s.model.Size())
	if why == "" {
		return nil
	}
	return []engine.Change{{Field: "model", Wanted: s.svc.Model + " on pool " + pool.Name + ": " + why, Policy: engine.PolicyRefused, Hint: hint}}
}

// changes is how the objects differ from what Render makes. missing tells that some
// are not there.
func (s *Service) changes(ctx context.Context, c connection) (out []engine.Change, missing bool, err error) {
	for _, o := range Render(s.blueprint, s.svc, s.facts()) {
		k, u, err := sendable(o)
		if err != nil {
			return nil, false, err
		}
		live, err := c.get(ctx, k, o.GetName())
		if err != nil {
			return nil, false, err
		}
		if live == nil {
			missing = true
			out = append(out, engine.Change{Field: strings.ToLower(k.Kind), Wanted: "created", Policy: engine.PolicyCreate})
			continue
		}
		if k.Kind == "Deployment" {
			s.live = &appsv1.Deployment{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, s.live); err != nil {
				return nil, false, err
			}
		}
		applied, err := c.apply(ctx, k, u, FieldManager, true)
		if err != nil {
			return nil, false, err
		}
		out = append(out, changesOf(live, applied)...)
	}
	return out, missing, nil
}

func sendable(o Object) (kind, *unstructured.Unstructured, error) {
	k, err := kindOf(o)
	if err != nil {
		return k, nil, err
	}
	u, err := wire(o)
	return k, u, err
}

// objectID is one object of a service.
type objectID struct {
	kind kind
	name string
}

// extra lists what was made for the service and is not wanted any more.
func (s *Service) extra(ctx context.Context, c connection) ([]objectID, error) {
	wanted := map[string]bool{}
	if !s.unwanted {
		for _, o := range Render(s.blueprint, s.svc, s.facts()) {
			wanted[o.GetObjectKind().GroupVersionKind().Kind+"/"+o.GetName()] = true
		}
	}
	var out []objectID
	for _, k := range slices.Backward(kinds()) {
		found, err := c.list(ctx, k, s.owned())
		if err != nil {
			return nil, err
		}
		for _, u := range found {
			if !wanted[k.Kind+"/"+u.GetName()] && u.GetDeletionTimestamp() == nil {
				out = append(out, objectID{k, u.GetName()})
			}
		}
	}
	return out, nil
}

// detail says in a few words what exists.
func (s *Service) detail() string {
	return fmt.Sprintf("%s, %d of %d replicas ready", s.svc.Model, s.live.Status.AvailableReplicas, wantedReplicas(s.live))
}

// unready says what a service lacks that is otherwise as it should be; empty if
// nothing. Of one that scales itself only the fewest replicas are asked for.
func (s *Service) unready() string {
	wanted := wantedReplicas(s.live)
	if a := s.svc.Autoscaling; a != nil {
		wanted = min(wanted, int32(a.Min))
	} else if done(s.live) {
		return ""
	}
	if s.live.Status.AvailableReplicas >= wanted && s.live.Status.UpdatedReplicas >= wanted {
		return ""
	}
	return fmt.Sprintf("%d of %d ready", min(s.live.Status.AvailableReplicas, s.live.Status.UpdatedReplicas), wanted)
}
