// Package clock holds how long things take in the local cloud: AWS's typical
// durations as a documented profile, divided by a speed.
//
// The profile is data, not behaviour: benchmarks read it to know the shortest
// time that a run could take ([Profile]), and the services wait by it
// ([Clock.Wait]).
package clock

import (
	"context"
	"time"
)

// Step names one duration of the profile.
type Step string

// The steps of the profile. The figures are AWS's typical times in
// ap-northeast-2 and us-east-1; those in [Profile] that no AWS page states are
// marked there.
const (
	IAMPropagation      Step = "iam.propagation"       // a new role or trust policy becomes usable by other services
	NATGatewayCreate    Step = "ec2.natGateway.create" // pending to available
	NATGatewayDelete    Step = "ec2.natGateway.delete" // deleting to deleted
	EndpointCreate      Step = "ec2.vpcEndpoint.create"
	InstanceBoot        Step = "ec2.instance.boot"      // launched until the kubelet registers the node
	InstanceTerminate   Step = "ec2.instance.terminate" // shutting-down to terminated
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
	LoadBalancerCreate  Step = "elbv2.loadBalancer.create"
	LoadBalancerDelete  Step = "elbv2.loadBalancer.delete" // after the call: interfaces are released
	CloudControllerSync Step = "kubernetes.cloudController.sync"
)

// Profile returns AWS's typical durations at speed 1.
func Profile() map[Step]time.Duration {
	return map[Step]time.Duration{
		IAMPropagation:      10 * time.Second,
		NATGatewayCreate:    100 * time.Second,
		NATGatewayDelete:    50 * time.Second,
		EndpointCreate:      5 * time.Second,
		InstanceBoot:        60 * time.Second,
		InstanceTerminate:   45 * time.Second,
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
