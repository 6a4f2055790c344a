package karpenter

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

func quiet(string, ...any) {}

var pool = blueprints.NodePool{
	Name: "gpu", InstanceTypes: []string{"p4d.24xlarge", "p4de.24xlarge"}, Capacity: blueprints.Spot, Nodes: blueprints.Nodes{Min: 1, Max: 4},
	Taints:     []blueprints.Taint{{Key: "nvidia.com/gpu", Value: "present", Effect: "NoSchedule"}},
	RootVolume: blueprints.RootVolume{SizeGiB: 200}, LocalStorage: "raid0",
}

// Field by field what Karpenter is told of a pool.
func TestObjects(t *testing.T) {
	s := spec{
		pool: pool, beyond: 3, owner: cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}}, labels: map[string]string{"aicluster/pool": "gpu"},
		profile: "demo-us-west-2-nodes", subnets: []string{"subnet-a", "subnet-b"}, group: "sg-1", amiAlias: "al2023@v20260714",
	}
	for name, tt := range map[string]struct {
		got  object
		want string
	}{
		"NodePool": {s.nodePool(), `
limits: {nodes: "3", nvidia.com/gpu: "24"}
disruption:
  consolidationPolicy: WhenEmpty
  consolidateAfter: 5m
  budgets:
  - {nodes: 100%, reasons: [Empty]}
  - {nodes: "1", reasons: [Drifted, Underutilized]}
template:
  metadata: {labels: {aicluster/pool: gpu}}
  spec:
    nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    requirements:
    - {key: node.kubernetes.io/instance-type, operator: In, values: [p4d.24xlarge, p4de.24xlarge]}
    - {key: karpenter.sh/capacity-type, operator: In, values: [spot]}
    - {key: kubernetes.io/arch, operator: In, values: [amd64]}
    - {key: kubernetes.io/os, operator: In, values: [linux]}
    taints:
    - {key: nvidia.com/gpu, value: present, effect: NoSchedule}
    expireAfter: Never
`},
		"EC2NodeClass": {s.nodeClass(), `
amiSelectorTerms: [{alias: al2023@v20260714}]
instanceProfile: demo-us-west-2-nodes
subnetSelectorTerms: [{id: subnet-a}, {id: subnet-b}]
securityGroupSelectorTerms: [{id: sg-1}]
blockDeviceMappings:
- deviceName: /dev/xvda
  ebs: {volumeSize: 200Gi, volumeType: gp3, encrypted: true, deleteOnTermination: true}
instanceStorePolicy: RAID0
userData: null
metadataOptions: {httpEndpoint: enabled, httpProtocolIPv6: disabled, httpTokens: required, httpPutResponseHopLimit: 2}
tags: {Name: demo-gpu, aicluster/cluster: demo, team: ml}
`},
	} {
		var wanted any
		if err := yaml.Unmarshal([]byte(tt.want), &wanted); err != nil {
			t.Fatal(err)
		}
		got, _ := yaml.Marshal(tt.got)
		want, _ := yaml.Marshal(wanted)
		if string(got) != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
	for storage, want := range map[string]string{"mount": "strategy: Mount", "none": ""} {
		s.pool.LocalStorage = storage
		class := s.nodeClass()
		data, _ := class["userData"].(string)
		if class["instanceStorePolicy"] != nil || !strings.Contains(data, want) || (want == "") != (data == "") {
			t.Errorf("%s: policy %v, user data %q", storage, class["instanceStorePolicy"], data)
		}
	}
}

func TestAlias(t *testing.T) {
	class := func(alias string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: object{"spec": object{"amiSelectorTerms": []any{object{"alias": alias}}}}}
	}
	for _, tt := range []struct {
		name, blueprint string
		live            *unstructured.Unstructured
		groups          string
		want            string
	}{
		{"the blueprint's release", "1.35.2-20260714", class("al2023@v20260601"), "1.35.3-20260801", "al2023@v20260714"},
		{"what the nodes have", "", class("al2023@v20260601"), "1.35.3-20260801", "al2023@v20260601"},
		{"as the node groups", "", nil, "1.35.3-20260801", "al2023@v20260801"},
		{"no node group to go by", "", nil, "", "al2023@latest"},
	} {
		p := &Pool{spec: spec{pool: blueprints.NodePool{AMIRelease: tt.blueprint}}, class: tt.live, Release: func() string { return tt.groups }}
		if got := p.alias(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestReady(t *testing.T) {
	condition := func(kind, status, message string, generation int64) any {
		return object{"type": kind, "status": status, "message": message, "observedGeneration": generation}
	}
	for _, tt := range []struct {
		name       string
		conditions []any
		ready      bool
		why        string
	}{
		{"nobody has looked", nil, false, "Karpenter has not looked at it yet"},
		{"in order", []any{condition("SubnetsReady", "True", "", 2), condition("Ready", "True", "", 2)}, true, ""},
		{"of an earlier generation", []any{condition("Ready", "True", "", 1)}, false, "Karpenter has not looked at it yet"},
		{"something is wrong", []any{condition("SubnetsReady", "False", "SubnetSelector did not match any Subnets", 2), condition("Ready", "False", "SubnetsReady=False", 2)},
			false, "SubnetsReady: SubnetSelector did not match any Subnets"},
	} {
		o := &unstructured.Unstructured{Object: object{"status": object{"conditions": tt.conditions}}}
		o.SetGeneration(2)
		if ready, why := isReady(o); ready != tt.ready || why != tt.why {
			t.Errorf("%s: %v, %q", tt.name, ready, why)
		}
	}
}

// fakeEC2 is an account's instances and launch templates. An instance that is
// terminated shuts down until it is asked for the next time but one.
type fakeEC2 struct {
	instances, templates map[string]map[string]string // id: tags
	going                map[string]int
	calls                []string
}

func matches(tags map[string]string, filters []types.Filter) bool {
	for _, f := range filters {
		name, isTag := strings.CutPrefix(*f.Name, "tag:")
		switch {
		case isTag && !slices.Contains(f.Values, tags[name]):
			return false
		case *f.Name == "tag-key" && !slices.ContainsFunc(f.Values, func(k string) bool { _, ok := tags[k]; return ok }):
			return false
		}
	}
	return true
}

func (f *fakeEC2) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	out := &ec2.DescribeInstancesOutput{}
	for id, tags := range f.instances {
		if f.going[id] > 1 {
			delete(f.instances, id)
		} else if f.going[id] > 0 {
			f.going[id]++
		}
		if matches(tags, in.Filters) {
			out.Reservations = append(out.Reservations, types.Reservation{Instances: []types.Instance{{InstanceId: aws.String(id)}}})
		}
	}
	return out, nil
}

func (f *fakeEC2) DescribeLaunchTemplates(_ context.Context, in *ec2.DescribeLaunchTemplatesInput, _ ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error) {
	out := &ec2.DescribeLaunchTemplatesOutput{}
	for id, tags := range f.templates {
		if matches(tags, in.Filters) {
			out.LaunchTemplates = append(out.LaunchTemplates, types.LaunchTemplate{LaunchTemplateId: aws.String(id)})
		}
	}
	return out, nil
}

func (f *fakeEC2) TerminateInstances(_ context.Context, in *ec2.TerminateInstancesInput, _ ...func(*ec2.Options)) (*ec2.TerminateInstancesOutput, error) {
	slices.Sort(in.InstanceIds)
	f.calls = append(f.calls, "terminate "+strings.Join(in.InstanceIds, " "))
	for _, id := range in.InstanceIds {
		if id == "i-lost" && len(in.InstanceIds) > 1 {
			return nil, &smithy.GenericAPIError{Code: "InvalidInstanceID.NotFound"}
		}
		f.going[id]++
	}
	return &ec2.TerminateInstancesOutput{}, nil
}

func (f *fakeEC2) DeleteLaunchTemplate(_ context.Context, in *ec2.DeleteLaunchTemplateInput, _ ...func(*ec2.Options)) (*ec2.DeleteLaunchTemplateOutput, error) {
	f.calls = append(f.calls, "delete "+*in.LaunchTemplateId)
	delete(f.templates, *in.LaunchTemplateId)
	return &ec2.DeleteLaunchTemplateOutput{}, nil
}

// Machines go by the tags of Karpenter for this cluster, and of nobody else.
func TestMachines(t *testing.T) {
	of := func(cluster string) map[string]string {
		return map[string]string{"kubernetes.io/cluster/" + cluster: "owned", "karpenter.sh/nodepool": "gpu", "eks:eks-cluster-name": cluster, "karpenter.k8s.aws/ec2nodeclass": "gpu"}
	}
	f := &fakeEC2{
		going: map[string]int{},
		instances: map[string]map[string]string{
			"i-1": of("demo"), "i-lost": of("demo"), "i-other": of("prod"), "i-group": {"kubernetes.io/cluster/demo": "owned", "eks:nodegroup-name": "system"},
		},
		templates: map[string]map[string]string{"lt-1": of("demo"), "lt-other": of("prod"), "lt-group": {"eks:cluster-name": "demo"}},
	}
	m := NewMachines(f, "demo")
	obs, err := m.Observe(t.Context())
	if err != nil || !obs.Exists || !strings.Contains(obs.Detail, "i-1") || strings.Contains(obs.Detail, "other") || strings.Contains(obs.Detail, "group") {
		t.Errorf("%+v (%v)", obs, err)
	}
	if err := m.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if len(f.instances) != 2 || len(f.templates) != 2 {
		t.Errorf("left %v, %v after %v", f.instances, f.templates, f.calls)
	}
	if obs, err = m.Observe(t.Context()); err != nil || obs.Exists {
		t.Errorf("%+v (%v)", obs, err)
	}
	f.calls = nil
	if err := m.Delete(t.Context(), quiet); err != nil || len(f.calls) > 0 {
		t.Errorf("nothing is left, and it calls %v (%v)", f.calls, err)
	}
}
