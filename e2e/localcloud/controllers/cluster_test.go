package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	cloudprovider "k8s.io/cloud-provider"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/traffic"
	"aicluster/e2e/localcloud/vllm"
)

// TestMain makes the test binary stand for the localcloud executable, whose
// hidden command is a control plane.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == kube.Command {
		if err := kube.RunChild(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience is far above what any step takes at the tests' speed.
const patience = 60 * time.Second

// testCluster is a real control plane with the controllers running against it.
type testCluster struct {
	*testing.T
	plane   *kube.ControlPlane
	client  kubernetes.Interface
	dyn     dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	lbs     *balancers
	network *traffic.Network
	aws     *fakeStarts

	mu    sync.Mutex
	facts map[string]Facts
	disks VolumeAPI
}

func startCluster(t *testing.T) *testCluster {
	t.Helper()
	speed := clock.New(100)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	network := traffic.New()
	network.Install(vllm.New(speed))
	way := httptest.NewServer(http.HandlerFunc(network.ServeTunnel))
	t.Cleanup(way.Close)
	plane, err := kube.Start(ctx, kube.Options{Dir: filepath.Join(t.TempDir(), "plane"), Cluster: "demo", Version: "1.35", Clock: speed, NetworkURL: way.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c := &testCluster{T: t, plane: plane, client: plane.Client(), facts: map[string]Facts{}, lbs: &balancers{names: map[string]string{}}, network: network, aws: newFakeStarts()}
	if c.dyn, err = dynamic.NewForConfig(plane.Admin()); err != nil {
		t.Fatal(err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(plane.Admin())
	if err != nil {
		t.Fatal(err)
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))

	running, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Run(running, Options{Cluster: "demo", Config: plane.Admin(), Clock: speed, Cloud: c.lbs, Volumes: c.volumeAPI, PodStarts: c.aws, NodeFacts: c.nodeFacts, Network: network})
	}()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("controllers ended with %v", err)
			}
		case <-time.After(patience):
			t.Error("controllers do not end")
		}
	})
	return c
}

func (c *testCluster) nodeFacts(name string) (Facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.facts[name]
	return f, ok
}

func (c *testCluster) volumeAPI(context.Context) (VolumeAPI, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.disks == nil {
		return nil, errors.New("no EC2 IMDS role found")
	}
	return c.disks, nil
}

func (c *testCluster) setDisks(api VolumeAPI) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disks = api
}

func (c *testCluster) addNode(name string, facts Facts, taints ...corev1.Taint) {
	c.Helper()
	c.setFacts(name, facts)
	size := corev1.ResourceList{"cpu": resource.MustParse("96"), "memory": resource.MustParse("1000Gi"), "pods": resource.MustParse("250")}
	if err := c.plane.AddNode(c.Context(), kube.Node{
		Name: name, ProviderID: "aws:///eu-west-1a/i-0" + name, InstanceType: "p4d.24xlarge", Zone: "eu-west-1a", Region: "eu-west-1",
		Capacity: size, InternalIP: "10.0.0.1", Taints: taints,
	}); err != nil {
		c.Fatal(err)
	}
}

func (c *testCluster) setFacts(name string, facts Facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts[name] = facts
}

// apply applies objects by server-side apply, as EKS does with an add-on's.
func (c *testCluster) apply(objects ...*unstructured.Unstructured) {
	c.Helper()
	for _, object := range objects {
		c.eventually("apply "+object.GetKind()+" "+object.GetName(), func() error {
			kind := object.GroupVersionKind()
			mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
			if err != nil {
				c.mapper.Reset()
				return err
			}
			body, err := json.Marshal(object)
			if err != nil {
				return err
			}
			api := c.dyn.Resource(mapping.Resource).Namespace(object.GetNamespace())
			_, err = api.Patch(c.Context(), object.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "test", Force: new(true)})
			return err
		})
	}
}

func (c *testCluster) addon(name string) {
	c.Helper()
	objects, err := Addon(name, AddonVersions(name, "1.35")[0], "")
	if err != nil {
		c.Fatal(err)
	}
	for _, object := range objects {
		c.apply(object.(*unstructured.Unstructured))
	}
}

// patch merges content into an object.
func (c *testCluster) patch(resource, namespace, name, content string) {
	c.Helper()
	gvr := policyResource
	if resource == "daemonsets" {
		gvr.Group, gvr.Resource = "apps", resource
	}
	if _, err := c.dyn.Resource(gvr).Namespace(namespace).Patch(c.Context(), name, types.MergePatchType, []byte(content), metav1.PatchOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c *testCluster) node(name string) *corev1.Node {
	c.Helper()
	node, err := c.client.CoreV1().Nodes().Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return node
}

// gpus returns a node's GPUs: all, and those that pods can have.
func (c *testCluster) gpus(name string) (capacity, allocatable int64) {
	c.Helper()
	node := c.node(name)
	return node.Status.Capacity.Name(gpuResource, "").Value(), node.Status.Allocatable.Name(gpuResource, "").Value()
}

func (c *testCluster) eventuallyGPUs(name string, capacity, allocatable int64) {
	c.Helper()
	c.eventually(fmt.Sprintf("GPUs of %s", name), func() error {
		if all, free := c.gpus(name); all != capacity || free != allocatable {
			return fmt.Errorf("%d of %d, want %d of %d", free, all, allocatable, capacity)
		}
		return nil
	})
}

// policyReports waits for a state and the reason of the condition that is true.
func (c *testCluster) policyReports(state, reason string) {
	c.Helper()
	c.eventually("the policy's status", func() error {
		policy, err := c.dyn.Resource(policyResource).Get(c.Context(), "cluster-policy", metav1.GetOptions{})
		if err != nil {
			return err
		}
		is, _, _ := unstructured.NestedString(policy.Object, "status", "state")
		conditions, _, _ := unstructured.NestedSlice(policy.Object, "status", "conditions")
		for _, entry := range conditions {
			if c := mapOf(entry); is == state && c["status"] == "True" && c["reason"] == reason {
				return nil
			}
		}
		return fmt.Errorf("%s %v, want %s because of %s", is, conditions, state, reason)
	})
}

func (c *testCluster) eventually(what string, check func() error) {
	c.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// manifests reads a file of YAML documents.
func manifests(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, object)
	}
}

// balancers is a cloud provider that has load balancers alone, in memory.
type balancers struct {
	cloudprovider.Interface
	mu      sync.Mutex
	names   map[string]string
	failure error
}

func (b *balancers) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure = err
}

func (b *balancers) all() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.names)
}

func (b *balancers) LoadBalancer() (cloudprovider.LoadBalancer, bool) { return b, true }
func (b *balancers) HasClusterID() bool                               { return true }
func (b *balancers) ProviderName() string                             { return "test" }

func (b *balancers) GetLoadBalancerName(_ context.Context, _ string, svc *corev1.Service) string {
	return svc.Name
}

func (b *balancers) GetLoadBalancer(_ context.Context, _ string, svc *corev1.Service) (*corev1.LoadBalancerStatus, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status(svc), b.names[svc.Name] != "", nil
}

func (b *balancers) EnsureLoadBalancer(_ context.Context, cluster string, svc *corev1.Service, _ []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failure != nil {
		return nil, b.failure
	}
	b.names[svc.Name] = svc.Name + "." + cluster + ".elb.eu-west-1.amazonaws.com"
	return b.status(svc), nil
}

func (b *balancers) status(svc *corev1.Service) *corev1.LoadBalancerStatus {
	return &corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{Hostname: b.names[svc.Name]}}}
}

func (b *balancers) UpdateLoadBalancer(context.Context, string, *corev1.Service, []*corev1.Node) error {
	return nil
}

func (b *balancers) EnsureLoadBalancerDeleted(_ context.Context, _ string, svc *corev1.Service) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failure != nil {
		return b.failure
	}
	delete(b.names, svc.Name)
	return nil
}
