// Package clock holds how long things take in the local cloud: AWS's typical
// durations as a documented profile, divided by a speed.
//
// The profile is data, not behaviour: benchmarks read it to know the shortest
// time that a run could take ([Profile]), and the services wait by it
// ([Clock.Wait]).
package clock

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// Step names one duration of the profile.
type Step string

// The steps of the profile. The figures are AWS's typical times in
// ap-northeast-2 and us-east-1; those in [Profile] that no AWS page states are
// marked there.
const (
	IAMPropagation      Step = "iam.propagation"       // a new role or trust policy becomes usable by other services
	EC2Visible          Step = "ec2.visible"           // what was made or tagged is described, and known to calls that name it
	EC2Gone             Step = "ec2.gone"              // what was deleted is described no more
	NATGatewayCreate    Step = "ec2.natGateway.create" // pending to available
	NATGatewayDelete    Step = "ec2.natGateway.delete" // deleting to deleted
	EndpointCreate      Step = "ec2.vpcEndpoint.create"
	InstanceBoot        Step = "ec2.instance.boot"      // launched until the kubelet registers the node
	InstanceTerminate   Step = "ec2.instance.terminate" // shutting-down to terminated
	VolumeCreate        Step = "ec2.volume.create"      // creating to available
	VolumeAttach        Step = "ec2.volume.attach"      // attaching to attached
	VolumeDetach        Step = "ec2.volume.detach"      // detaching to available, after the call
	MountTargetCreate   Step = "efs.mountTarget.create"
	MountTargetDelete   Step = "efs.mountTarget.delete"
	FileSystemCreate    Step = "efs.fileSystem.create"
	FileSystemDelete    Step = "efs.fileSystem.delete"
	ClusterCreate       Step = "eks.cluster.create"
	ClusterUpdate       Step = "eks.cluster.update"
	ClusterDelete       Step = "eks.cluster.delete"
	LateLogWrite        Step = "eks.logs.lateWrite"   // the cluster is gone until the last lines of its logs are written
	NodegroupCreate     Step = "eks.nodegroup.create" // launch template copy, ASG; before instances are asked for
	NodegroupActive     Step = "eks.nodegroup.active" // all nodes joined until ACTIVE is reported
	NodegroupUpdate     Step = "eks.nodegroup.update"
	NodegroupDelete     Step = "eks.nodegroup.delete" // after its instances are terminated
	AddonCreate         Step = "eks.addon.create"
	AddonDelete         Step = "eks.addon.delete"
	AccessPropagation   Step = "eks.access.propagation" // an access entry takes effect
	PodStart            Step = "kubernetes.pod.start"   // image pull and container start
	PodRun              Step = "kubernetes.pod.run"     // a container that does its work and ends
	GPUOperand          Step = "gpu.operand.start"      // one more wait per GPU operand pod: large images, validation
	ModelLoad           Step = "vllm.model.load"        // vLLM's process begins until it listens: weights, compilation
	FirstToken          Step = "vllm.token.first"       // a request runs until its first token
	NextToken           Step = "vllm.token.next"
	LoadBalancerCreate  Step = "elbv2.loadBalancer.create"
	LoadBalancerDelete  Step = "elbv2.loadBalancer.delete" // after the call: interfaces are released
	CloudControllerSync Step = "kubernetes.cloudController.sync"
)

// Profile returns AWS's typical durations at speed 1.
//
// EC2's two are estimates: "Eventual consistency in the Amazon EC2 API"
// (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html)
// gives no figure. It tells clients to wait a couple of seconds at first and up
// to about five minutes in all; most calls see a change within a second or two.
func Profile() map[Step]time.Duration {
	return map[Step]time.Duration{
		IAMPropagation:      10 * time.Second,
		EC2Visible:          time.Second,
		EC2Gone:             time.Second,
		NATGatewayCreate:    100 * time.Second,
		NATGatewayDelete:    50 * time.Second,
		EndpointCreate:      5 * time.Second,
		InstanceBoot:        60 * time.Second,
		InstanceTerminate:   45 * time.Second,
		VolumeCreate:        2 * time.Second,
		VolumeAttach:        2 * time.Second,
		VolumeDetach:        3 * time.Second,
		MountTargetCreate:   90 * time.Second,
		MountTargetDelete:   30 * time.Second,
		FileSystemCreate:    5 * time.Second,
		FileSystemDelete:    5 * time.Second,
		ClusterCreate:       9 * time.Minute,
		ClusterUpdate:       4 * time.Minute,
		ClusterDelete:       3 * time.Minute,
		LateLogWrite:        20 * time.Second, // an estimate
		NodegroupCreate:     30 * time.Second,
		NodegroupActive:     30 * time.Second,
		NodegroupUpdate:     20 * time.Second,
		NodegroupDelete:     60 * time.Second,
		AddonCreate:         10 * time.Second,
		AddonDelete:         10 * time.Second,
		AccessPropagation:   3 * time.Second,
		PodStart:            10 * time.Second,
		PodRun:              3 * time.Second,
		GPUOperand:          20 * time.Second,
		ModelLoad:           60 * time.Second, // an 8B model from local NVMe; an estimate, as the next two
		FirstToken:          200 * time.Millisecond,
		NextToken:           20 * time.Millisecond,
		LoadBalancerCreate:  2 * time.Minute,
		LoadBalancerDelete:  30 * time.Second,
		CloudControllerSync: 3 * time.Second,
	}
}

// Clock scales the profile by a speed.
type Clock struct {
	speed   float64
	profile map[Step]time.Duration
}

// New returns a clock that divides the profile's durations by speed. A speed of
// zero or below is taken as 1.
func New(speed float64) *Clock {
	if speed <= 0 {
		speed = 1
	}
	return &Clock{speed: speed, profile: Profile()}
}

// With returns a clock of the same speed on which some steps take other times,
// given at speed 1.
func (c *Clock) With(durations map[Step]time.Duration) *Clock {
	profile := maps.Clone(c.profile)
	maps.Copy(profile, durations)
	return &Clock{speed: c.speed, profile: profile}
}

// Read reads durations that differ from the profile's from a JSON file:
// {"ec2.visible": "5s"}.
func Read(file string) (map[Step]time.Duration, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	var texts map[Step]string
	if err := json.Unmarshal(data, &texts); err != nil {
		return nil, fmt.Errorf("profile: %s%s: %w", file, lineOf(data, err), err)
	}
	known, durations := Profile(), map[Step]time.Duration{}
	for _, step := range slices.Sorted(maps.Keys(texts)) {
		if _, ok := known[step]; !ok {
			return nil, fmt.Errorf("profile: %s: no step %q; GET /_localcloud/profile lists them", file, step)
		}
		d, err := time.ParseDuration(texts[step])
		if err != nil || d < 0 {
			return nil, fmt.Errorf("profile: %s: %s: %q is no duration, such as 1.5s", file, step, texts[step])
		}
		durations[step] = d
	}
	return durations, nil
}

// lineOf says at which line of data decoding failed, as ":3".
func lineOf(data []byte, err error) string {
	var offset int64
	switch e := err.(type) {
	case *json.SyntaxError:
		offset = e.Offset
	case *json.UnmarshalTypeError:
		offset = e.Offset
	default:
		return ""
	}
	return fmt.Sprintf(":%d", 1+bytes.Count(data[:min(int(offset), len(data))], []byte("\n")))
}

// Durations are all steps' times at speed 1.
func (c *Clock) Durations() map[Step]time.Duration { return maps.Clone(c.profile) }

// Speed is the divisor given to [New].
func (c *Clock) Speed() float64 { return c.speed }

// Duration is how long step takes at this clock's speed.
func (c *Clock) Duration(step Step) time.Duration {
	return time.Duration(float64(c.profile[step]) / c.speed)
}

// Scale divides any duration by the speed.
func (c *Clock) Scale(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.speed)
}

// Wait blocks for the step's duration, or until ctx ends, whose error it then returns.
func (c *Clock) Wait(ctx context.Context, step Step) error {
	t := time.NewTimer(c.Duration(step))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
