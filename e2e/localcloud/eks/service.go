// Package eks is Amazon EKS in the local cloud. Behind every cluster stands a
// real Kubernetes control plane ([aicluster/e2e/localcloud/kube]); instances of
// node groups become its nodes, add-ons its objects, and callers of AWS its
// users.
//
// Files: service (this one), clusters and lifecycle (the control plane),
// nodegroups, template and keeper (managed node groups and their instances),
// nodes, userdata and drain (an instance as a Kubernetes node), addons, access
// and token (who may call Kubernetes), cloudprovider, podidentity, updates,
// tags, versions, fargate; clustercheck and nodegroupcheck refuse what AWS refuses,
// idempotency tells a request that comes again.
package eks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/autoscaling"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/efs"
	"aicluster/e2e/localcloud/faults"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/wire"
)

// Options are what the service is made of.
type Options struct {
	Clock       *clock.Clock
	IAM         *iam.Service
	EC2         *ec2.Service
	AutoScaling *autoscaling.Service
	EFS         *efs.Service // file systems for volumes; nil for none

	// Logs makes the log group of a cluster whose logging is switched on; nil for none.
	Logs LogGroups
	// SDK is how EKS's service-linked role calls AWS in a region, which the cloud
	// controller manager does for Services of type LoadBalancer; nil leaves such
	// Services pending.
	SDK func(region string) aws.Config

	// RoleConfig is how pods call AWS as a role of the account; nil leaves volume
	// claims pending.
	RoleConfig func(region, roleARN, session string) (aws.Config, error)

	// Dir is the folder under which every control plane has its own.
	Dir string
	// Kubeconfig is of a Kubernetes that runs already and stands behind the cluster,
	// of which there can be one then; empty: each cluster gets its own.
	Kubeconfig string
	// Executable is what kube starts as a child; empty means this program.
	Executable string
	// BaseURL is the local cloud's own URL. Presigned STS requests in tokens must
	// be for it, and the API servers' webhook is found below it.
	BaseURL string
	// WithoutAutoscaler leaves the cluster autoscaler to the real program.
	WithoutAutoscaler bool
	// Log is told what the cluster autoscaler's stand-in does; nil means nobody is.
	Log *slog.Logger
	// Faults say what is wrong with instances and releases; nil means nothing.
	Faults Faults
}

// Faults are what goes wrong with nodes and on them.
type Faults interface {
	// HealthyGPUs is how many of an instance's GPUs work.
	HealthyGPUs(region, instanceID string, gpus int) int
	// NeverJoins tells whether an instance becomes no node.
	NeverJoins(cluster, nodeGroup, instanceID string) bool
	// BadAMI is what an AMI breaks on an instance: [faults.DevicePlugin],
	// [faults.Kubelet] or nothing.
	BadAMI(amiType, releaseVersion, instanceID string) string
	// HookFails tells whether a Helm release's hook fails, or never ends.
	HookFails(release, hook string) (fails, hangs bool)
	// OfPod is what is wrong with a pod's container, if anything is.
	OfPod(cluster, namespace, pod string) (faults.Fault, bool)
	// Quota is what the account has of a quota of EKS, if that is not AWS's default.
	Quota(region, code string) (limit int, ok bool)
}

// noFaults is a cloud in which nothing goes wrong.
type noFaults struct{}

func (noFaults) HealthyGPUs(_, _ string, gpus int) int  { return gpus }
func (noFaults) NeverJoins(string, string, string) bool { return false }
func (noFaults) BadAMI(string, string, string) string   { return "" }
func (noFaults) HookFails(string, string) (bool, bool)  { return false, false }
func (noFaults) OfPod(string, string, string) (faults.Fault, bool) {
	return faults.Fault{}, false
}
func (noFaults) Quota(string, string) (limit int, ok bool) { return 0, false }

// LogGroups is what EKS needs of CloudWatch Logs.
type LogGroups interface {
	EnsureLogGroup(region, name string)
}

// Service is the EKS API of all regions.
type Service struct {
	opts  Options
	clock *clock.Clock

	ctx  context.Context // ends with the service
	stop context.CancelFunc
	work sync.WaitGroup

	// mu guards the clusters and everything in them. It is not held while
	// another service, or Kubernetes, is called; IAM apart, which calls nobody.
	mu       sync.Mutex
	clusters map[clusterKey]*cluster
}

type clusterKey struct{ region, name string }

// New returns a service without clusters.
func New(o Options) *Service {
	if o.Faults == nil {
		o.Faults = noFaults{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Service{opts: o, clock: o.Clock, ctx: ctx, stop: stop, clusters: map[clusterKey]*cluster{}}
	o.AutoScaling.OnTerminating(s.drainInstance)
	o.EC2.OnTerminated(s.instanceTerminated)
	// EKS drains a spot node that has got its notice
	// (https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html).
	o.EC2.OnSpotNotice(func(region, id string) { s.work.Go(func() { s.drainInstance(s.ctx, region, "", id) }) })
	return s
}

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("eks", "eks", goFiles)
	wire.Handle(w, "eks", s.CreateCluster)
	wire.Handle(w, "eks", s.DescribeCluster)
	wire.Handle(w, "eks", s.ListClusters)
	wire.Handle(w, "eks", s.DeleteCluster)
	wire.Handle(w, "eks", s.UpdateClusterConfig)
	wire.Handle(w, "eks", s.UpdateClusterVersion)
	wire.Handle(w, "eks", s.DescribeClusterVersions)
	wire.Handle(w, "eks", s.DescribeUpdate)
	wire.Handle(w, "eks", s.ListUpdates)
	wire.Handle(w, "eks", s.CreateNodegroup)
	wire.Handle(w, "eks", s.DescribeNodegroup)
	wire.Handle(w, "eks", s.ListNodegroups)
	wire.Handle(w, "eks", s.UpdateNodegroupConfig)
	wire.Handle(w, "eks", s.UpdateNodegroupVersion)
	wire.Handle(w, "eks", s.DeleteNodegroup)
	wire.Handle(w, "eks", s.CreateFargateProfile)
	wire.Handle(w, "eks", s.DescribeFargateProfile)
	wire.Handle(w, "eks", s.ListFargateProfiles)
	wire.Handle(w, "eks", s.DeleteFargateProfile)
	wire.Handle(w, "eks", s.CreateAddon)
	wire.Handle(w, "eks", s.DescribeAddon)
	wire.Handle(w, "eks", s.ListAddons)
	wire.Handle(w, "eks", s.UpdateAddon)
	wire.Handle(w, "eks", s.DeleteAddon)
	wire.Handle(w, "eks", s.DescribeAddonVersions)
	wire.Handle(w, "eks", s.DescribeAddonConfiguration)
	wire.Handle(w, "eks", s.CreateAccessEntry)
	wire.Handle(w, "eks", s.DescribeAccessEntry)
	wire.Handle(w, "eks", s.ListAccessEntries)
	wire.Handle(w, "eks", s.UpdateAccessEntry)
	wire.Handle(w, "eks", s.DeleteAccessEntry)
	wire.Handle(w, "eks", s.ListAccessPolicies)
	wire.Handle(w, "eks", s.AssociateAccessPolicy)
	wire.Handle(w, "eks", s.DisassociateAccessPolicy)
	wire.Handle(w, "eks", s.ListAssociatedAccessPolicies)
	wire.Handle(w, "eks", s.CreatePodIdentityAssociation)
	wire.Handle(w, "eks", s.DescribePodIdentityAssociation)
	wire.Handle(w, "eks", s.ListPodIdentityAssociations)
	wire.Handle(w, "eks", s.UpdatePodIdentityAssociation)
	wire.Handle(w, "eks", s.DeletePodIdentityAssociation)
	wire.Handle(w, "eks", s.TagResource)
	wire.Handle(w, "eks", s.UntagResource)
	wire.Handle(w, "eks", s.ListTagsForResource)
}

// Inventory lists everything that exists, one line each, sorted.
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for key, c := range s.clusters {
		add := func(kind, name string) {
			list = append(list, fmt.Sprintf("%s/%s/%s/%s", key.region, kind, key.name, name))
		}
		list = append(list, key.region+"/cluster/"+key.name)
		for name := range c.nodegroups {
			add("nodegroup", name)
		}
		for name := range c.addons {
			add("addon", name)
		}
		for name := range c.fargate {
			add("fargateprofile", name)
		}
		for arn := range c.entries {
			add("access-entry", arn)
		}
		for id := range c.associations {
			add("podidentityassociation", id)
		}
	}
	slices.Sort(list)
	return list
}

// Close stops every control plane and goroutine and waits for them, or until
// ctx ends. The clusters are not deleted as far as AWS is concerned.
func (s *Service) Close(ctx context.Context) error {
	s.stop()
	s.mu.Lock()
	clusters := slices.Collect(maps.Values(s.clusters))
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		for _, c := range clusters {
			c.work.Wait()
		}
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("eks: still at work: %w", ctx.Err())
	}
	s.mu.Lock()
	var planes []*kube.ControlPlane
	for _, c := range clusters {
		if c.plane != nil {
			planes = append(planes, c.plane)
		}
	}
	s.mu.Unlock()
	errs := make([]error, len(planes))
	var stopping sync.WaitGroup
	for i, p := range planes {
		stopping.Go(func() { errs[i] = p.Stop(ctx) })
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// shortest keeps a fast clock from making loops spin.
const shortest = 50 * time.Millisecond

func (s *Service) scaled(d time.Duration) time.Duration { return max(s.clock.Scale(d), shortest) }

// patience is a scaled timeout for what real components have to do: they take
// their time at any speed.
func (s *Service) patience(d time.Duration) time.Duration {
	return max(s.clock.Scale(d), 20*time.Second)
}

// pause waits for a scaled duration and says whether ctx still goes on.
func (s *Service) pause(ctx context.Context, d time.Duration) bool {
	return sleep(ctx, s.scaled(d))
}

// sleep waits for d and says whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// internal is the context for calls to other services' operations on behalf of EKS.
func internal(ctx context.Context, region string) context.Context {
	return wire.WithCaller(ctx, region, wire.Caller{
		AccountID: wire.AccountID,
		ARN:       "arn:aws:sts::" + wire.AccountID + ":assumed-role/AWSServiceRoleForAmazonEKS/EKS",
		UserID:    "AROAEKSSERVICELINKED:EKS",
	})
}

func arn(region, resource string) string {
	return fmt.Sprintf("arn:aws:eks:%s:%s:%s", region, wire.AccountID, resource)
}

// short is an id of n lower-case letters and digits.
func short(n int) string { return strings.ReplaceAll(uuid.NewString(), "-", "")[:n] }

func now() *time.Time { t := time.Now().UTC().Truncate(time.Millisecond); return &t }

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func or[T comparable](p *T, otherwise T) T { return cmp.Or(deref(p), otherwise) }

func orBool(p *bool, otherwise bool) bool {
	if p == nil {
		return otherwise
	}
	return *p
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
