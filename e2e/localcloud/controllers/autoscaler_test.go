package controllers

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"aicluster/e2e/localcloud/clock"
)

// The scripts in e2e/testdata/autoscaler hold the stand-in against the real program;
// here is what they cannot reach.

func TestAutoscalerFlags(t *testing.T) {
	const discovery = "--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/demo"
	f, err := readAutoscalerFlags([]string{"./cluster-autoscaler", "--cloud-provider=aws", discovery, "--balance-similar-node-groups=true",
		"--scale-down-unneeded-time=3m", "--skip-nodes-with-system-pods=false", "--balancing-ignore-label=a", "--balancing-ignore-label=b", "--v=4"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.discovery, []string{"k8s.io/cluster-autoscaler/enabled", "k8s.io/cluster-autoscaler/demo"}) || !slices.Equal(f.ignored, []string{"a", "b"}) {
		t.Errorf("discovery %q, ignored %q", f.discovery, f.ignored)
	}
	if f.unneeded != 3*time.Minute || f.afterAdd != 10*time.Minute || !f.balance || f.keepSystem || !f.keepLocal || f.termination != 10*time.Minute {
		t.Errorf("flags %+v", f)
	}
	for want, command := range map[string][]string{
		"no --node-group-auto-discovery":                   {"./cluster-autoscaler"},
		"asg:tag=KEY,KEY":                                  {"--node-group-auto-discovery=mig:namePrefix=x"},
		`invalid argument "soon" for --scan-interval`:      {discovery, "--scan-interval=soon"},
		"the stand-in does not know the expander priority": {discovery, "--expander=priority,least-waste"},
	} {
		if _, err := readAutoscalerFlags(command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", command, err, want)
		}
	}
}

func sized(name string, cpu, memory, gpus string, labels map[string]string, taints ...corev1.Taint) *corev1.Node {
	list := corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory), "pods": resource.MustParse("110"), "nvidia.com/gpu": resource.MustParse(gpus)}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.NodeSpec{Taints: taints},
		Status: corev1.NodeStatus{Capacity: list, Allocatable: list, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
}

func asks(name, cpu, memory, gpus string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory), "nvidia.com/gpu": resource.MustParse(gpus)}}}},
		Tolerations: []corev1.Toleration{{Key: "nvidia.com/gpu", Operator: corev1.TolerationOpExists}},
	}}
	for _, f := range change {
		f(p)
	}
	return p
}

var gpuTaint = corev1.Taint{Key: "nvidia.com/gpu", Value: "present", Effect: corev1.TaintEffectNoSchedule}

// What keeps a pod from a node is said in the scheduler's words.
func TestMisfit(t *testing.T) {
	node := sized("n", "96", "1Ti", "8", map[string]string{"pool": "a"}, gpuTaint, corev1.Taint{Key: taintCandidate, Effect: corev1.TaintEffectPreferNoSchedule})
	for _, test := range []struct {
		pod  *corev1.Pod
		want string
	}{
		{asks("fits", "4", "24Gi", "8"), ""},
		{asks("gpus", "4", "24Gi", "9"), "Insufficient nvidia.com/gpu"},
		{asks("both", "97", "24Gi", "9"), "Insufficient cpu, Insufficient nvidia.com/gpu"},
		{asks("taint", "4", "24Gi", "9", func(p *corev1.Pod) { p.Spec.Tolerations = nil }), "node(s) had untolerated taint(s)"},
		{asks("selector", "4", "24Gi", "9", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"pool": "b"} }), "node(s) didn't match Pod's node affinity/selector"},
	} {
		if got := strings.Join(misfit(test.pod, nodeInfo(node)), ", "); got != test.want {
			t.Errorf("%s: got %q, want %q", test.pod.Name, got, test.want)
		}
	}
}

// world of three groups: small and twin are alike but for their pool's label.
func threeGroups() (*scaler, *world) {
	s := &scaler{autoscaler: &autoscaler{clock: clock.New(1)}, groups: map[string]*scalingGroup{}, flags: autoscalerFlags{expanders: []string{"least-waste"}, ignored: []string{"pool"}}}
	w := &world{template: map[string]*framework.NodeInfo{}}
	for name, node := range map[string]*corev1.Node{
		"small": sized("small", "96", "1152Gi", "8", map[string]string{"pool": "small", "kind": "a100"}, gpuTaint),
		"twin":  sized("twin", "96", "1152Gi", "8", map[string]string{"pool": "twin", "kind": "a100"}, gpuTaint),
		"large": sized("large", "192", "2048Gi", "8", map[string]string{"pool": "large", "kind": "h100"}, gpuTaint),
	} {
		s.groups[name] = &scalingGroup{name: name, max: 4}
		w.template[name] = nodeInfo(node)
	}
	return s, w
}

func TestScaleUpChoice(t *testing.T) {
	eight := func(n int) (out []*corev1.Pod) {
		for i := range n {
			out = append(out, asks(string(rune('a'+i)), "48", "500Gi", "8"))
		}
		return out
	}
	for _, test := range []struct {
		name   string
		pods   []*corev1.Pod
		change func(*scaler)
		want   map[string]int
	}{
		{"least waste", eight(1), func(*scaler) {}, map[string]int{"small": 1}},
		{"packed", []*corev1.Pod{asks("a", "4", "24Gi", "4"), asks("b", "4", "24Gi", "4"), asks("c", "4", "24Gi", "1")}, func(*scaler) {}, map[string]int{"small": 2}},
		{"balanced", eight(3), func(s *scaler) { s.flags.balance = true; s.groups["small"].desired = 1 }, map[string]int{"small": 1, "twin": 2}},
		{"not alike", eight(3), func(s *scaler) { s.flags.balance, s.flags.ignored = true, nil }, map[string]int{"small": 3}},
		{"up to the maximum", eight(6), func(s *scaler) { s.groups["small"].desired, s.groups["twin"].desired = 4, 4 }, map[string]int{"large": 4}},
		{"backing off", eight(1), func(s *scaler) {
			s.flags.backoff, s.flags.maxBackoff = time.Minute, time.Hour
			s.giveUpOn(s.groups["small"])
			s.giveUpOn(s.groups["twin"])
		}, map[string]int{"large": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := threeGroups()
			test.change(s)
			options, reasons := s.options(w, test.pods)
			if len(options) == 0 {
				t.Fatalf("no option: %v", reasons)
			}
			best := s.choose(w, options)
			got := map[string]int{}
			for _, o := range s.spread(w, best) {
				got[o.group.name] = o.nodes
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// A pod that waits for a GPU is let wait for a while, unless one has waited for long.
func TestNewPods(t *testing.T) {
	s, _ := threeGroups()
	aged := func(age time.Duration, gpus string) *corev1.Pod {
		return asks("p", "1", "1Gi", gpus, func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(time.Now().Add(-age)) })
	}
	for _, test := range []struct {
		name string
		pods []*corev1.Pod
		want bool
	}{
		{"one second old", []*corev1.Pod{aged(time.Second, "0")}, true},
		{"five seconds old", []*corev1.Pod{aged(5*time.Second, "0")}, false},
		{"five seconds old, for a GPU", []*corev1.Pod{aged(5*time.Second, "1")}, true},
		{"half a minute old, for a GPU", []*corev1.Pod{aged(5*time.Second, "1"), aged(31*time.Second, "8")}, false},
		{"an old one without, a new one for a GPU", []*corev1.Pod{aged(time.Minute, "0"), aged(5*time.Second, "1")}, true},
	} {
		if got := s.allNew(test.pods); got != test.want {
			t.Errorf("%s: too early is %v", test.name, got)
		}
	}
}

func TestPausesGrow(t *testing.T) {
	s, _ := threeGroups()
	s.flags.backoff, s.flags.maxBackoff = 5*time.Minute, 15*time.Minute
	g := s.groups["small"]
	for _, want := range []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		if s.giveUpOn(g); g.pause != want {
			t.Errorf("pause %s, want %s", g.pause, want)
		}
	}
}

// What keeps a node, by the program's rules.
func TestMovable(t *testing.T) {
	budgets := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for name, allowed := range map[string]int32{"closed": 0, "open": 1} {
		err := budgets.Add(&policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed},
			Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"budget": name}}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	pod := func(kind string, change ...func(*corev1.Pod)) *corev1.Pod {
		p := asks("p", "1", "1Gi", "0", change...)
		if p.Namespace == "" {
			p.Namespace = "default"
		}
		if kind != "" {
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Controller: &yes}}
		}
		return p
	}
	annotated := func(value string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{safeToEvict: value} }
	}
	budget := func(name string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Labels = map[string]string{"budget": name} }
	}
	system := func(p *corev1.Pod) { p.Namespace = "kube-system" }
	disk := func(medium corev1.StorageMedium) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: medium}}}}
		}
	}
	for _, test := range []struct {
		name          string
		pods          []*corev1.Pod
		strict, loose bool // with the program's defaults, and with those of our values
	}{
		{"replicas", []*corev1.Pod{pod("ReplicaSet"), pod("StatefulSet"), pod("Job")}, true, true},
		{"a pod by itself", []*corev1.Pod{pod("")}, false, false},
		{"one that may go", []*corev1.Pod{pod("", annotated("true"))}, true, true},
		{"one that may not", []*corev1.Pod{pod("ReplicaSet", annotated("false"))}, false, false},
		{"of a controller of its own", []*corev1.Pod{pod("RayCluster")}, false, false},
		{"a budget", []*corev1.Pod{pod("ReplicaSet", budget("open"))}, true, true},
		{"a budget for one of two", []*corev1.Pod{pod("ReplicaSet", budget("open")), pod("ReplicaSet", budget("open"))}, false, false},
		{"a closed budget", []*corev1.Pod{pod("ReplicaSet", budget("closed"))}, false, false},
		{"a pod of the system", []*corev1.Pod{pod("ReplicaSet", system)}, false, true},
		{"a scratch disk", []*corev1.Pod{pod("ReplicaSet", disk(""))}, false, true},
		{"shared memory", []*corev1.Pod{pod("ReplicaSet", disk(corev1.StorageMediumMemory))}, true, true},
	} {
		s := &scaler{autoscaler: &autoscaler{budgets: policylisters.NewPodDisruptionBudgetLister(budgets)}}
		s.flags = autoscalerFlags{keepCustom: true, keepSystem: true, keepLocal: true}
		if got := s.movable(test.pods); got != test.strict {
			t.Errorf("%s, by default: got %v", test.name, got)
		}
		s.flags = autoscalerFlags{keepCustom: true}
		if got := s.movable(test.pods); got != test.loose {
			t.Errorf("%s, by our values: got %v", test.name, got)
		}
	}
}
