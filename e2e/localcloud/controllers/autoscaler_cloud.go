package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/e2e/localcloud/clock"
)

// scalingGroup is an Auto Scaling group as the program knows it between two reads.
type scalingGroup struct {
	name          string
	min, max      int
	desired       int
	instances     []string
	zones         []string
	tags          map[string]string
	kinds         []string // instance types of its policy, in their order
	template      *astypes.LaunchTemplateSpecification
	failedLaunch  string // what the last launch failed with, if it has since the last change
	changed, grew time.Time
	pause         time.Duration // of the last failure
	until         time.Time     // no growth before
}

// instanceKind is what EC2 says of an instance type.
type instanceKind struct {
	arch               string
	cpus, memory, gpus int64 // memory in bytes
}

// poolFacts is what EKS says of a node group.
type poolFacts struct {
	labels map[string]string
	taints []corev1.Taint
	sizes  corev1.ResourceList
	until  time.Time
}

// scalingCloud is AWS as the program sees it: with its calls, in its order.
type scalingCloud struct {
	clock    *clock.Clock
	config   func(namespace, account, node string) (aws.Config, error)
	pod      *corev1.Pod
	discover []string
	kinds    map[string]instanceKind
	pools    map[string]poolFacts // by cluster and name
}

func (c *scalingCloud) aws() (aws.Config, error) {
	return c.config(c.pod.Namespace, c.pod.Spec.ServiceAccountName, c.pod.Spec.NodeName)
}

func (c *scalingCloud) scaling() (*autoscaling.Client, error) {
	config, err := c.aws()
	return autoscaling.NewFromConfig(config), err
}

// read lists the groups that bear all tags of the discovery. What is remembered of
// a group goes over from the last time.
func (c *scalingCloud) read(ctx context.Context, old map[string]*scalingGroup) (map[string]*scalingGroup, error) {
	api, err := c.scaling()
	if err != nil {
		return nil, err
	}
	in := &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(100)}
	for _, key := range c.discover {
		in.Filters = append(in.Filters, astypes.Filter{Name: aws.String("tag-key"), Values: []string{key}})
	}
	groups := map[string]*scalingGroup{}
	for pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, live := range page.AutoScalingGroups {
			g := groupOf(live)
			if before := old[g.name]; before != nil {
				g.changed, g.grew, g.pause, g.until = before.changed, before.grew, before.pause, before.until
			}
			if g.desired > len(g.instances) {
				if g.failedLaunch, err = failedLaunch(ctx, api, g); err != nil {
					return nil, err
				}
			}
			groups[g.name] = g
		}
	}
	return groups, nil
}

func groupOf(live astypes.AutoScalingGroup) *scalingGroup {
	g := &scalingGroup{
		name: *live.AutoScalingGroupName, min: int(*live.MinSize), max: int(*live.MaxSize), desired: int(*live.DesiredCapacity),
		zones: live.AvailabilityZones, tags: map[string]string{}, template: live.LaunchTemplate,
	}
	for _, t := range live.Tags {
		g.tags[*t.Key] = *t.Value
	}
	for _, i := range live.Instances {
		g.instances = append(g.instances, *i.InstanceId)
	}
	if p := live.MixedInstancesPolicy; p != nil {
		g.template = p.LaunchTemplate.LaunchTemplateSpecification
		for _, o := range p.LaunchTemplate.Overrides {
			if o.InstanceType != nil {
				g.kinds = append(g.kinds, *o.InstanceType)
			}
		}
	}
	return g
}

// failedLaunch is what a launch failed with since the group's size was set last.
func failedLaunch(ctx context.Context, api *autoscaling.Client, g *scalingGroup) (string, error) {
	out, err := api.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &g.name})
	if err != nil {
		return "", err
	}
	for _, a := range out.Activities { // newest first
		if a.StartTime.Before(g.changed) {
			break
		}
		if a.StatusCode == astypes.ScalingActivityStatusCodeFailed {
			return aws.ToString(a.StatusMessage), nil
		}
	}
	return "", nil
}

// resize sets a group's desired capacity.
func (c *scalingCloud) resize(ctx context.Context, g *scalingGroup, n int) error {
	api, err := c.scaling()
	if err != nil {
		return err
	}
	asked := time.Now()
	if _, err := api.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{
		AutoScalingGroupName: &g.name, DesiredCapacity: aws.Int32(int32(n)), HonorCooldown: aws.Bool(false),
	}); err != nil {
		return err
	}
	g.desired, g.changed = n, asked
	return nil
}

// terminate ends an instance and takes it off its group's size.
func (c *scalingCloud) terminate(ctx context.Context, instance string) error {
	api, err := c.scaling()
	if err != nil {
		return err
	}
	_, err = api.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: &instance, ShouldDecrementDesiredCapacity: aws.Bool(true),
	})
	return err
}

// The forms of tags by which a group or a node group tells what its nodes have.
const (
	tagLabel    = "k8s.io/cluster-autoscaler/node-template/label/"
	tagTaint    = "k8s.io/cluster-autoscaler/node-template/taint/"
	tagResource = "k8s.io/cluster-autoscaler/node-template/resources/"
)

// nodeOf is what a node of an empty group will be like: of its first instance type
// and in its first zone, with 110 pods, nothing reserved, and no disk that no tag
// tells of. Where labels of tags and of EKS contradict each other, EKS's count.
func (c *scalingCloud) nodeOf(ctx context.Context, g *scalingGroup) (*corev1.Node, error) {
	name, err := c.kindName(ctx, g)
	if err != nil {
		return nil, err
	}
	kind, err := c.kind(ctx, name)
	if err != nil {
		return nil, err
	}
	pool, err := c.pool(ctx, g)
	if err != nil {
		return nil, err
	}
	zone := g.zones[0]
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "template-" + g.name, Labels: map[string]string{
		corev1.LabelArchStable: kind.arch, corev1.LabelOSStable: "linux", corev1.LabelInstanceTypeStable: name,
		corev1.LabelTopologyRegion: zone[:len(zone)-1], corev1.LabelTopologyZone: zone, "topology.ebs.csi.aws.com/zone": zone,
		corev1.LabelHostname: "template-" + g.name,
	}}}
	size := corev1.ResourceList{
		corev1.ResourcePods: *resource.NewQuantity(110, resource.DecimalSI), corev1.ResourceCPU: *resource.NewQuantity(kind.cpus, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(kind.memory, resource.BinarySI), "nvidia.com/gpu": *resource.NewQuantity(kind.gpus, resource.DecimalSI),
	}
	for key, value := range g.tags {
		if label, ok := strings.CutPrefix(key, tagLabel); ok {
			node.Labels[label] = value
		}
		if taint, ok := strings.CutPrefix(key, tagTaint); ok {
			value, effect, _ := strings.Cut(value, ":")
			node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: taint, Value: value, Effect: corev1.TaintEffect(effect)})
		}
	}
	maps.Copy(size, taggedSizes(g.tags))
	maps.Copy(size, pool.sizes)
	maps.Copy(node.Labels, pool.labels)
	node.Spec.Taints = append(node.Spec.Taints, pool.taints...)
	node.Status.Capacity, node.Status.Allocatable = size, size
	return node, nil
}

// kindName is the group's instance type: the first that its policy names, else the
// launch template's.
func (c *scalingCloud) kindName(ctx context.Context, g *scalingGroup) (string, error) {
	if len(g.kinds) > 0 {
		return g.kinds[0], nil
	}
	config, err := c.aws()
	if err != nil {
		return "", err
	}
	out, err := ec2.NewFromConfig(config).DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateName: g.template.LaunchTemplateName, Versions: []string{aws.ToString(g.template.Version)},
	})
	if err != nil {
		return "", err
	}
	for _, v := range out.LaunchTemplateVersions {
		if v.LaunchTemplateData.InstanceType != "" {
			return string(v.LaunchTemplateData.InstanceType), nil
		}
	}
	return "", fmt.Errorf("unable to find instance type using launch template %s", aws.ToString(g.template.LaunchTemplateName))
}

func (c *scalingCloud) kind(ctx context.Context, name string) (instanceKind, error) {
	if k, ok := c.kinds[name]; ok {
		return k, nil
	}
	config, err := c.aws()
	if err != nil {
		return instanceKind{}, err
	}
	out, err := ec2.NewFromConfig(config).DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []ec2types.InstanceType{ec2types.InstanceType(name)}})
	if err != nil {
		return instanceKind{}, err
	}
	info := out.InstanceTypes[0]
	k := instanceKind{arch: "amd64", cpus: int64(*info.VCpuInfo.DefaultVCpus), memory: *info.MemoryInfo.SizeInMiB << 20}
	if slices.Contains(info.ProcessorInfo.SupportedArchitectures, ec2types.ArchitectureTypeArm64) {
		k.arch = "arm64"
	}
	if info.GpuInfo != nil {
		for _, gpu := range info.GpuInfo.Gpus {
			k.gpus += int64(*gpu.Count)
		}
	}
	c.kinds[name] = k
	return k, nil
}

// poolKept is how long the program keeps what EKS said of a node group
// (cloudprovider/aws/managed_nodegroup_cache.go).
const poolKept = 6 * time.Minute

// pool is what EKS says of the node group that a group belongs to. One without EKS's
// two tags belongs to none.
func (c *scalingCloud) pool(ctx context.Context, g *scalingGroup) (poolFacts, error) {
	cluster, name := g.tags["eks:cluster-name"], g.tags["eks:nodegroup-name"]
	if cluster == "" || name == "" {
		return poolFacts{}, nil
	}
	key := cluster + "/" + name
	if f, ok := c.pools[key]; ok && time.Now().Before(f.until) {
		return f, nil
	}
	config, err := c.aws()
	if err != nil {
		return poolFacts{}, err
	}
	out, err := eks.NewFromConfig(config).DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &name})
	if err != nil {
		return poolFacts{}, err
	}
	n := out.Nodegroup
	f := poolFacts{until: time.Now().Add(c.clock.Scale(poolKept)), sizes: taggedSizes(n.Tags), labels: map[string]string{
		"eks.amazonaws.com/nodegroup": name, "eks.amazonaws.com/capacityType": string(n.CapacityType), "amiType": string(n.AmiType),
		"k8sVersion": aws.ToString(n.Version),
	}}
	if n.DiskSize != nil {
		f.labels["diskSize"] = strconv.Itoa(int(*n.DiskSize))
	}
	maps.Copy(f.labels, n.Labels)
	effects := map[ekstypes.TaintEffect]corev1.TaintEffect{
		ekstypes.TaintEffectNoSchedule: corev1.TaintEffectNoSchedule, ekstypes.TaintEffectNoExecute: corev1.TaintEffectNoExecute,
		ekstypes.TaintEffectPreferNoSchedule: corev1.TaintEffectPreferNoSchedule,
	}
	for _, t := range n.Taints {
		if t.Key != nil && t.Value != nil { // the program forgets a taint without a value
			f.taints = append(f.taints, corev1.Taint{Key: *t.Key, Value: *t.Value, Effect: effects[t.Effect]})
		}
	}
	c.pools[key] = f
	return f, nil
}

// taggedSizes are the resources that tags tell of; what is no quantity counts for nothing.
func taggedSizes(tags map[string]string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for key, value := range tags {
		name, ok := strings.CutPrefix(key, tagResource)
		if q, err := resource.ParseQuantity(value); ok && err == nil {
			out[corev1.ResourceName(name)] = q
		}
	}
	return out
}
