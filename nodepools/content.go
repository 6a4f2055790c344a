package nodepools

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// content is what a version of a launch template says.
type content struct {
	node nodeContent
	tags map[string]string // of instances, volumes and interfaces
}

// nodeContent is the part for which nodes have to be replaced.
type nodeContent struct {
	rootGiB    int32
	volumeType types.VolumeType
	encrypted  bool
	hopLimit   int32
	tokens     types.LaunchTemplateHttpTokensState
	userData   string // base64, as EC2 keeps it
}

// rootDevice is the root disk of Amazon Linux 2023.
const rootDevice = "/dev/xvda"

// hopLimit lets pods that are one hop away from the node reach the metadata
// service; EKS wants it in a launch template of one's own (EKS user guide,
// "Customize managed nodes with launch templates").
const hopLimit = 2

// defaultRootGiB is the root disk of a pool that names none, in GiB.
const defaultRootGiB = 100

func wantedContent(owner cloud.Owner, pool blueprints.NodePool) content {
	return content{
		node: nodeContent{
			rootGiB: rootGiB(pool), volumeType: types.VolumeTypeGp3, encrypted: true,
			hopLimit: hopLimit, tokens: types.LaunchTemplateHttpTokensStateRequired,
			userData: userData(pool.LocalStorage),
		},
		tags: owner.Tags(TemplateName(owner.Cluster, pool.Name)),
	}
}

func rootGiB(pool blueprints.NodePool) int32 {
	if pool.RootVolume.SizeGiB > 0 {
		return int32(pool.RootVolume.SizeGiB)
	}
	return defaultRootGiB
}

// taggedKinds are the resources that come and go with an instance.
var taggedKinds = []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface}

// request is the content as EC2 takes it.
func (c content) request() *types.RequestLaunchTemplateData {
	data := &types.RequestLaunchTemplateData{
		BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{{
			DeviceName: aws.String(rootDevice),
			Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{
				VolumeSize: aws.Int32(c.node.rootGiB), VolumeType: c.node.volumeType,
				Encrypted: aws.Bool(c.node.encrypted), DeleteOnTermination: aws.Bool(true),
			},
		}},
		MetadataOptions: &types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpTokens: c.node.tokens, HttpPutResponseHopLimit: aws.Int32(c.node.hopLimit),
		},
	}
	if c.node.userData != "" {
		data.UserData = aws.String(c.node.userData)
	}
	for _, kind := range taggedKinds {
		data.TagSpecifications = append(data.TagSpecifications, types.LaunchTemplateTagSpecificationRequest{ResourceType: kind, Tags: cloud.EC2Tags(c.tags)})
	}
	return data
}

// liveContent is the content of a version as EC2 gives it.
func liveContent(data *types.ResponseLaunchTemplateData) content {
	var c content
	if data == nil {
		return c
	}
	c.node.userData = aws.ToString(data.UserData)
	for _, m := range data.BlockDeviceMappings {
		if aws.ToString(m.DeviceName) == rootDevice && m.Ebs != nil {
			c.node.rootGiB, c.node.volumeType = aws.ToInt32(m.Ebs.VolumeSize), m.Ebs.VolumeType
			c.node.encrypted = aws.ToBool(m.Ebs.Encrypted)
		}
	}
	if m := data.MetadataOptions; m != nil {
		c.node.hopLimit, c.node.tokens = aws.ToInt32(m.HttpPutResponseHopLimit), m.HttpTokens
	}
	for _, spec := range data.TagSpecifications {
		if spec.ResourceType == types.ResourceTypeInstance {
			c.tags = cloud.FromEC2(spec.Tags)
		}
	}
	return c
}

func (c content) equal(o content) bool { return c.node == o.node && maps.Equal(c.tags, o.tags) }

// changes says in the blueprint's terms how c becomes wanted: a new version
// each time; what that does to nodes is the node group's to say.
func (c content) changes(wanted content) []engine.Change {
	var changes []engine.Change
	add := func(field string, live, wanted any) {
		changes = append(changes, engine.Change{Field: field, Live: live, Wanted: wanted, Policy: engine.PolicyInPlace, Hint: "as a new version of the launch template"})
	}
	if c.node.rootGiB != wanted.node.rootGiB {
		add("rootVolume.sizeGiB", c.node.rootGiB, wanted.node.rootGiB)
	}
	if c.node.userData != wanted.node.userData {
		add("localStorage", describeUserData(c.node.userData), describeUserData(wanted.node.userData))
	}
	if c.node.volumeType != wanted.node.volumeType || c.node.encrypted != wanted.node.encrypted {
		add("rootVolume", disk(c.node), disk(wanted.node))
	}
	if c.node.tokens != wanted.node.tokens || c.node.hopLimit != wanted.node.hopLimit {
		add("metadataOptions", c.node.tokens, wanted.node.tokens)
	}
	changes = append(changes, engine.TagChanges(c.tags, wanted.tags)...)
	for _, key := range slices.Sorted(maps.Keys(c.tags)) {
		if _, ok := wanted.tags[key]; !ok {
			add(engine.TagField(key), c.tags[key], nil)
		}
	}
	return changes
}

// creation says what the first version will say.
func (c content) creation() []engine.Change {
	return []engine.Change{
		{Field: "rootVolume", Wanted: fmt.Sprintf("%d GiB %s", c.node.rootGiB, disk(c.node)), Policy: engine.PolicyCreate},
		{Field: "localStorage", Wanted: describeUserData(c.node.userData), Policy: engine.PolicyCreate},
		{Field: "metadataOptions", Wanted: fmt.Sprintf("IMDSv2 %s, hop limit %d", c.node.tokens, c.node.hopLimit), Policy: engine.PolicyCreate},
	}
}

func disk(n nodeContent) string {
	if n.encrypted {
		return string(n.volumeType) + ", encrypted"
	}
	return string(n.volumeType) + ", not encrypted"
}

// nodeadm's strategies for a node's local NVMe disks (amazon-eks-ami, nodeadm
// documentation, LocalStorageOptions): RAID0 makes one file system of all that
// kubelet, containerd and pod logs live on; Mount mounts each by itself.
var localStorageStrategies = map[string]string{"raid0": "RAID0", "mount": "Mount"}

// boundary separates the parts of the user data; fixed, so that equal pools have
// equal user data.
const boundary = "aicluster-node-config"

// userData is the nodeadm configuration for a choice of local storage, in the
// MIME form that EKS merges its own part into; empty when there is nothing to say.
func userData(localStorage string) string {
	strategy, ok := localStorageStrategies[localStorage]
	if !ok {
		return ""
	}
	text := strings.Join([]string{
		"MIME-Version: 1.0",
		`Content-Type: multipart/mixed; boundary="` + boundary + `"`,
		"",
		"--" + boundary,
		"Content-Type: application/node.eks.aws",
		"",
		"apiVersion: node.eks.aws/v1alpha1",
		"kind: NodeConfig",
		"spec:",
		"  instance:",
		"    localStorage:",
		"      strategy: " + strategy,
		"",
		"--" + boundary + "--",
		"",
	}, "\n")
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// describeUserData is the choice of local storage that makes such user data.
func describeUserData(data string) string {
	if data == "" {
		return "none"
	}
	for choice := range localStorageStrategies {
		if userData(choice) == data {
			return choice
		}
	}
	return "other user data"
}
