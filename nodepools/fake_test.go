package nodepools

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// fakeCloud is EKS's node groups, EC2's launch templates and the Auto Scaling
// groups behind them. A call that it does not know panics.
type fakeCloud struct {
	EKSAPI
	EC2API
	AutoScalingAPI

	calls     []string
	groups    map[string]*types.Nodegroup
	since     map[string]time.Time // of a group's status
	takes     time.Duration
	fate      types.NodegroupStatus // what a creation ends in; empty is ACTIVE
	issues    []types.Issue         // of groups that are not active
	stuck     int                   // how many deletions end in DELETE_FAILED
	errs      map[string][]error    // operation -> errors of the next calls
	updates   map[string]*types.Update
	desired   map[string]int
	instances map[string]int
	failures  []astypes.Activity // newest first

	templates map[string]*ec2types.LaunchTemplate
	versions  map[string][]*ec2types.ResponseLaunchTemplateData
}

func newFake() *fakeCloud {
	return &fakeCloud{
		groups: map[string]*types.Nodegroup{}, since: map[string]time.Time{}, takes: 3 * time.Minute, errs: map[string][]error{},
		updates: map[string]*types.Update{}, desired: map[string]int{}, instances: map[string]int{},
		templates: map[string]*ec2types.LaunchTemplate{}, versions: map[string][]*ec2types.ResponseLaunchTemplateData{},
	}
}

func (f *fakeCloud) call(op string) error {
	f.calls = append(f.calls, op)
	if list := f.errs[op]; len(list) > 0 {
		f.errs[op] = list[1:]
		return list[0]
	}
	return nil
}

func notFound() error {
	return &types.ResourceNotFoundException{Message: aws.String("No node group found.")}
}

func (f *fakeCloud) DescribeNodegroup(_ context.Context, in *eks.DescribeNodegroupInput, _ ...func(*eks.Options)) (*eks.DescribeNodegroupOutput, error) {
	name := *in.NodegroupName
	g := f.groups[name]
	if g == nil {
		return nil, notFound()
	}
	if time.Since(f.since[name]) >= f.takes {
		switch {
		case g.Status == types.NodegroupStatusCreating && f.fate != "":
			g.Status = f.fate
		case g.Status == types.NodegroupStatusCreating && len(f.failures) == 0:
			g.Status = types.NodegroupStatusActive
			f.instances[name] = f.desired[name]
		case g.Status == types.NodegroupStatusDeleting && f.stuck > 0:
			f.stuck--
			g.Status = types.NodegroupStatusDeleteFailed
		case g.Status == types.NodegroupStatusDeleting:
			delete(f.groups, name)
			return nil, notFound()
		}
	}
	out := *g
	if out.Status != types.NodegroupStatusActive {
		out.Health = &types.NodegroupHealth{Issues: f.issues}
	}
	return &eks.DescribeNodegroupOutput{Nodegroup: &out}, nil
}

func (f *fakeCloud) ListNodegroups(context.Context, *eks.ListNodegroupsInput, ...func(*eks.Options)) (*eks.ListNodegroupsOutput, error) {
	return &eks.ListNodegroupsOutput{Nodegroups: slices.Sorted(maps.Keys(f.groups))}, nil
}

func (f *fakeCloud) CreateNodegroup(_ context.Context, in *eks.CreateNodegroupInput, _ ...func(*eks.Options)) (*eks.CreateNodegroupOutput, error) {
	if err := f.call("CreateNodegroup"); err != nil {
		return nil, err
	}
	name := *in.NodegroupName
	if f.groups[name] != nil {
		return nil, &types.ResourceInUseException{Message: aws.String("NodeGroup already exists")}
	}
	asg := "eks-" + name
	f.groups[name] = &types.Nodegroup{
		NodegroupName: &name, NodegroupArn: aws.String("arn:" + name), Status: types.NodegroupStatusCreating, AmiType: in.AmiType, CapacityType: in.CapacityType,
		InstanceTypes: in.InstanceTypes, Labels: maps.Clone(in.Labels), LaunchTemplate: in.LaunchTemplate, NodeRole: in.NodeRole,
		ScalingConfig: in.ScalingConfig, Subnets: in.Subnets, Tags: in.Tags, Taints: in.Taints, UpdateConfig: in.UpdateConfig,
		Version: aws.String("1.35"), ReleaseVersion: aws.String("1.35.2-20260714"),
		Resources: &types.NodegroupResources{AutoScalingGroups: []types.AutoScalingGroup{{Name: &asg}}},
	}
	if in.ReleaseVersion != nil {
		f.groups[name].ReleaseVersion = in.ReleaseVersion
	}
	f.since[name], f.desired[name], f.instances[name] = time.Now(), int(*in.ScalingConfig.DesiredSize), 0
	return &eks.CreateNodegroupOutput{Nodegroup: f.groups[name]}, nil
}

func (f *fakeCloud) update(op string) *types.Update {
	id := op + strconv.Itoa(len(f.updates))
	f.updates[id] = &types.Update{Id: &id, Status: types.UpdateStatusInProgress, CreatedAt: aws.Time(time.Now())}
	return f.updates[id]
}

func (f *fakeCloud) UpdateNodegroupConfig(_ context.Context, in *eks.UpdateNodegroupConfigInput, _ ...func(*eks.Options)) (*eks.UpdateNodegroupConfigOutput, error) {
	if err := f.call("UpdateNodegroupConfig"); err != nil {
		return nil, err
	}
	g := f.groups[*in.NodegroupName]
	if s := in.ScalingConfig; s != nil {
		if s.DesiredSize != nil {
			f.desired[*in.NodegroupName] = int(*s.DesiredSize)
			g.ScalingConfig.DesiredSize = s.DesiredSize
		}
		if d := int32(f.desired[*in.NodegroupName]); d < *s.MinSize || d > *s.MaxSize {
			return nil, &types.InvalidParameterException{Message: aws.String("desired capacity is out of bounds")}
		}
		g.ScalingConfig.MinSize, g.ScalingConfig.MaxSize = s.MinSize, s.MaxSize
		f.instances[*in.NodegroupName] = f.desired[*in.NodegroupName]
	}
	if l := in.Labels; l != nil {
		maps.Copy(g.Labels, l.AddOrUpdateLabels)
		for _, k := range l.RemoveLabels {
			delete(g.Labels, k)
		}
	}
	if in.Taints != nil {
		have := taintsByIdentity(g.Taints)
		for _, t := range in.Taints.RemoveTaints {
			delete(have, *t.Key+":"+string(t.Effect))
		}
		maps.Copy(have, taintsByIdentity(in.Taints.AddOrUpdateTaints))
		g.Taints = slices.Collect(maps.Values(have))
	}
	if in.UpdateConfig != nil {
		g.UpdateConfig = in.UpdateConfig
	}
	return &eks.UpdateNodegroupConfigOutput{Update: f.update("config")}, nil
}

func (f *fakeCloud) UpdateNodegroupVersion(_ context.Context, in *eks.UpdateNodegroupVersionInput, _ ...func(*eks.Options)) (*eks.UpdateNodegroupVersionOutput, error) {
	if err := f.call("UpdateNodegroupVersion"); err != nil {
		return nil, err
	}
	g := f.groups[*in.NodegroupName]
	if in.LaunchTemplate != nil {
		g.LaunchTemplate = in.LaunchTemplate
	}
	if in.Version != nil {
		g.Version = in.Version
	}
	if in.ReleaseVersion != nil {
		g.ReleaseVersion = in.ReleaseVersion
	}
	return &eks.UpdateNodegroupVersionOutput{Update: f.update("version")}, nil
}

func (f *fakeCloud) DescribeUpdate(_ context.Context, in *eks.DescribeUpdateInput, _ ...func(*eks.Options)) (*eks.DescribeUpdateOutput, error) {
	if in.NodegroupName == nil {
		return nil, notFound()
	}
	u := f.updates[*in.UpdateId]
	if u.Status == types.UpdateStatusInProgress && time.Since(*u.CreatedAt) > time.Minute {
		u.Status = types.UpdateStatusSuccessful
	}
	return &eks.DescribeUpdateOutput{Update: u}, nil
}

func (f *fakeCloud) DeleteNodegroup(_ context.Context, in *eks.DeleteNodegroupInput, _ ...func(*eks.Options)) (*eks.DeleteNodegroupOutput, error) {
	if err := f.call("DeleteNodegroup"); err != nil {
		return nil, err
	}
	f.groups[*in.NodegroupName].Status = types.NodegroupStatusDeleting
	f.since[*in.NodegroupName] = time.Now()
	return &eks.DeleteNodegroupOutput{}, nil
}

func (f *fakeCloud) TagResource(_ context.Context, in *eks.TagResourceInput, _ ...func(*eks.Options)) (*eks.TagResourceOutput, error) {
	err := f.call("TagResource")
	for _, g := range f.groups {
		if *g.NodegroupArn == *in.ResourceArn {
			maps.Copy(g.Tags, in.Tags)
		}
	}
	return &eks.TagResourceOutput{}, err
}

func (f *fakeCloud) DescribeAutoScalingGroups(_ context.Context, in *autoscaling.DescribeAutoScalingGroupsInput, _ ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	name := in.AutoScalingGroupNames[0][len("eks-"):]
	group := astypes.AutoScalingGroup{DesiredCapacity: aws.Int32(int32(f.desired[name]))}
	for i := range f.instances[name] {
		group.Instances = append(group.Instances, astypes.Instance{
			InstanceId: aws.String(fmt.Sprintf("i-%d", i)), LifecycleState: astypes.LifecycleStateInService, AvailabilityZone: aws.String("ra"),
		})
	}
	return &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: []astypes.AutoScalingGroup{group}}, nil
}

func (f *fakeCloud) DescribeScalingActivities(context.Context, *autoscaling.DescribeScalingActivitiesInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error) {
	return &autoscaling.DescribeScalingActivitiesOutput{Activities: f.failures}, nil
}

// fails adds a launch in a zone that failed with these words.
func (f *fakeCloud) fails(zone, words string) {
	a := astypes.Activity{
		ActivityId: aws.String(strconv.Itoa(len(f.failures))),
		StatusCode: astypes.ScalingActivityStatusCodeFailed, StatusMessage: &words, StartTime: aws.Time(time.Now()),
		Details: aws.String(fmt.Sprintf(`{"Subnet ID":"subnet-%s","Availability Zone":"%s"}`, zone, zone)),
	}
	f.failures = append([]astypes.Activity{a}, f.failures...)
}

func (f *fakeCloud) DescribeLaunchTemplates(_ context.Context, in *ec2.DescribeLaunchTemplatesInput, _ ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error) {
	out := &ec2.DescribeLaunchTemplatesOutput{}
	for _, id := range slices.Sorted(maps.Keys(f.templates)) {
		t := f.templates[id]
		keep := true
		for _, flt := range in.Filters {
			switch *flt.Name {
			case "launch-template-name":
				keep = keep && *t.LaunchTemplateName == flt.Values[0]
			case "tag:" + cloud.TagCluster:
				keep = keep && cloud.FromEC2(t.Tags)[cloud.TagCluster] == flt.Values[0]
			}
		}
		if keep {
			out.LaunchTemplates = append(out.LaunchTemplates, *t)
		}
	}
	return out, nil
}

func (f *fakeCloud) DescribeLaunchTemplateVersions(_ context.Context, in *ec2.DescribeLaunchTemplateVersionsInput, _ ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	out := &ec2.DescribeLaunchTemplateVersionsOutput{}
	for i, data := range f.versions[*in.LaunchTemplateId] {
		out.LaunchTemplateVersions = append(out.LaunchTemplateVersions, ec2types.LaunchTemplateVersion{VersionNumber: aws.Int64(int64(i + 1)), LaunchTemplateData: data})
	}
	return out, nil
}

// stored is what EC2 answers for what it was sent.
func stored(in *ec2types.RequestLaunchTemplateData) *ec2types.ResponseLaunchTemplateData {
	ebs := in.BlockDeviceMappings[0].Ebs
	out := &ec2types.ResponseLaunchTemplateData{
		UserData: in.UserData,
		BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMapping{{
			DeviceName: in.BlockDeviceMappings[0].DeviceName,
			Ebs:        &ec2types.LaunchTemplateEbsBlockDevice{VolumeSize: ebs.VolumeSize, VolumeType: ebs.VolumeType, Encrypted: ebs.Encrypted},
		}},
		MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptions{
			HttpTokens: in.MetadataOptions.HttpTokens, HttpPutResponseHopLimit: in.MetadataOptions.HttpPutResponseHopLimit,
		},
	}
	for _, s := range in.TagSpecifications {
		out.TagSpecifications = append(out.TagSpecifications, ec2types.LaunchTemplateTagSpecification{ResourceType: s.ResourceType, Tags: s.Tags})
	}
	return out
}

func (f *fakeCloud) CreateLaunchTemplate(_ context.Context, in *ec2.CreateLaunchTemplateInput, _ ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateOutput, error) {
	if err := f.call("CreateLaunchTemplate"); err != nil {
		return nil, err
	}
	id := "lt-" + *in.LaunchTemplateName
	if f.templates[id] != nil {
		return nil, &smithy.GenericAPIError{Code: "InvalidLaunchTemplateName.AlreadyExistsException"}
	}
	f.templates[id] = &ec2types.LaunchTemplate{LaunchTemplateId: &id, LaunchTemplateName: in.LaunchTemplateName, DefaultVersionNumber: aws.Int64(1), Tags: in.TagSpecifications[0].Tags}
	f.versions[id] = []*ec2types.ResponseLaunchTemplateData{stored(in.LaunchTemplateData)}
	return &ec2.CreateLaunchTemplateOutput{LaunchTemplate: f.templates[id]}, nil
}

func (f *fakeCloud) CreateLaunchTemplateVersion(_ context.Context, in *ec2.CreateLaunchTemplateVersionInput, _ ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateVersionOutput, error) {
	err := f.call("CreateLaunchTemplateVersion")
	f.versions[*in.LaunchTemplateId] = append(f.versions[*in.LaunchTemplateId], stored(in.LaunchTemplateData))
	n := int64(len(f.versions[*in.LaunchTemplateId]))
	return &ec2.CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: &ec2types.LaunchTemplateVersion{VersionNumber: &n}}, err
}

func (f *fakeCloud) ModifyLaunchTemplate(_ context.Context, in *ec2.ModifyLaunchTemplateInput, _ ...func(*ec2.Options)) (*ec2.ModifyLaunchTemplateOutput, error) {
	if err := f.call("ModifyLaunchTemplate"); err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(*in.DefaultVersion, 10, 64)
	f.templates[*in.LaunchTemplateId].DefaultVersionNumber = &n
	return &ec2.ModifyLaunchTemplateOutput{}, err
}

func (f *fakeCloud) DeleteLaunchTemplate(_ context.Context, in *ec2.DeleteLaunchTemplateInput, _ ...func(*ec2.Options)) (*ec2.DeleteLaunchTemplateOutput, error) {
	err := f.call("DeleteLaunchTemplate")
	delete(f.templates, *in.LaunchTemplateId)
	return &ec2.DeleteLaunchTemplateOutput{}, err
}

func (f *fakeCloud) CreateTags(_ context.Context, in *ec2.CreateTagsInput, _ ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
	err := f.call("CreateTags")
	t := f.templates[in.Resources[0]]
	t.Tags = append(t.Tags, in.Tags...)
	return &ec2.CreateTagsOutput{}, err
}

func (f *fakeCloud) count(op string) int {
	n := 0
	for _, c := range f.calls {
		if c == op {
			n++
		}
	}
	return n
}

// ground is the cluster, role and subnets that pools stand on.
type ground struct {
	ready   bool
	version string
}

func (ground) ID() string                                          { return "cluster/demo" }
func (ground) Needs() []engine.Resource                            { return nil }
func (ground) Observe(context.Context) (engine.Observation, error) { return engine.Observation{}, nil }
func (ground) Apply(context.Context, engine.Progress) error        { return nil }
func (ground) Delete(context.Context, engine.Progress) error       { return nil }
func (ground) Name() string                                        { return "demo" }
func (g ground) Exists() bool                                      { return g.ready }
func (g ground) Ready() bool                                       { return g.ready }
func (g ground) TargetVersion() string                             { return g.version }
func (ground) ARN() string                                         { return "arn:aws:iam::1:role/nodes" }
func (ground) PrivateSubnetIDs(zones ...string) []string {
	if len(zones) == 0 {
		zones = []string{"ra", "rb", "rc"}
	}
	var ids []string
	for _, z := range zones {
		ids = append(ids, "subnet-"+z)
	}
	return ids
}

var owner = cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}}

func gpuPool() blueprints.NodePool {
	return blueprints.NodePool{
		Name: "gpu", InstanceTypes: []string{"p4d.24xlarge"}, Capacity: blueprints.OnDemand, Nodes: blueprints.Nodes{Min: 1, Max: 4},
		Labels: map[string]string{"accelerator": "nvidia-a100"}, LocalStorage: "raid0", RootVolume: blueprints.RootVolume{SizeGiB: 200},
		Taints: []blueprints.Taint{{Key: "nvidia.com/gpu", Value: "present", Effect: "NoSchedule"}}, MaxUnavailable: 1,
	}
}

// pair is a pool's launch template and node group.
func pair(f *fakeCloud, pool blueprints.NodePool) (*LaunchTemplate, *NodeGroup) {
	lt := NewLaunchTemplate(f, owner, pool)
	g := ground{ready: true, version: "1.35"}
	return lt, NewNodeGroup(f, f, owner, pool, g, lt, g, g, []string{"ra", "rb"})
}

func quiet(string, ...any) {}

func observe(t *testing.T, r engine.Resource) engine.Observation {
	t.Helper()
	obs, err := r.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return obs
}

// converge observes and applies, and checks that nothing differs then.
func converge(t *testing.T, list ...engine.Resource) {
	t.Helper()
	for _, r := range list {
		observe(t, r)
		if err := r.Apply(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		if obs := observe(t, r); !obs.Exists || len(obs.Changes) > 0 {
			t.Errorf("after Apply: %+v", obs)
		}
	}
}
