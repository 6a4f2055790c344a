package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/clock"
)

// instance is one instance.
type instance struct {
	id, reservation         string // the reservation is that of the RunInstances call
	instanceType, image     string
	market                  string
	subnet, vpc             string
	zone                    zone
	state                   types.InstanceStateName
	enis                    []string // the primary one first
	ip, publicIP            string   // of the primary interface, for as long as it is there
	groups                  []string
	devices                 []device
	template                string
	templateVersion         int64
	profile                 string // ARN
	userData                string
	key, placement          string
	capacityReservation     string
	metadata                *types.InstanceMetadataOptionsResponse
	architecture            string
	launched, running       time.Time
	clientToken             string
	reason, transition      string
	noticed                 bool // a spot instance that EC2 is about to take back
	spotRequest             string
	protected, ebs, monitor bool
}

type device struct {
	name, volume        string
	deleteOnTermination bool
}

// ended tells whether the instance no longer uses capacity.
func (i *instance) ended() bool { return i.state == types.InstanceStateNameTerminated }

// stateCode is the number that goes with a state's name (API reference, "InstanceState").
func stateCode(s types.InstanceStateName) int32 {
	return map[types.InstanceStateName]int32{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}[s]
}

func stateOf(s types.InstanceStateName) *types.InstanceState {
	return &types.InstanceState{Name: s, Code: aws.Int32(stateCode(s))}
}

func (i *instance) output(r *region) types.Instance {
	out := types.Instance{
		InstanceId: aws.String(i.id), InstanceType: types.InstanceType(i.instanceType), ImageId: aws.String(i.image), State: stateOf(i.state),
		Architecture: types.ArchitectureValues(i.architecture), LaunchTime: aws.Time(i.launched), AmiLaunchIndex: aws.Int32(0),
		Placement:  &types.Placement{AvailabilityZone: aws.String(i.zone.name), AvailabilityZoneId: aws.String(i.zone.id), GroupName: aws.String(i.placement), Tenancy: types.TenancyDefault},
		Monitoring: &types.Monitoring{State: types.MonitoringStateDisabled}, Hypervisor: types.HypervisorTypeXen, VirtualizationType: types.VirtualizationTypeHvm,
		RootDeviceName: aws.String(rootDevice), RootDeviceType: types.DeviceTypeEbs, EbsOptimized: aws.Bool(i.ebs), EnaSupport: aws.Bool(true),
		PlatformDetails: aws.String("Linux/UNIX"), UsageOperation: aws.String("RunInstances"), StateTransitionReason: aws.String(i.transition),
		MetadataOptions: i.metadata, ClientToken: aws.String(i.clientToken), Tags: r.sdkTags(i.id), PublicDnsName: aws.String(""), PrivateDnsName: aws.String(""),
		BlockDeviceMappings: []types.InstanceBlockDeviceMapping{}, NetworkInterfaces: []types.InstanceNetworkInterface{}, SecurityGroups: []types.GroupIdentifier{},
		ProductCodes: []types.ProductCode{},
	}
	if i.market == Spot {
		out.InstanceLifecycle, out.SpotInstanceRequestId = types.InstanceLifecycleTypeSpot, aws.String(i.spotRequest)
	}
	if i.key != "" {
		out.KeyName = aws.String(i.key)
	}
	if i.profile != "" {
		out.IamInstanceProfile = &types.IamInstanceProfile{Arn: aws.String(i.profile), Id: aws.String("AIPA" + fixedHex(i.profile, 17))}
	}
	if i.capacityReservation != "" {
		out.CapacityReservationId = aws.String(i.capacityReservation)
	}
	if i.monitor {
		out.Monitoring = &types.Monitoring{State: types.MonitoringStateEnabled}
	}
	if i.reason != "" {
		out.StateReason = &types.StateReason{Code: aws.String(before(i.reason, ":")), Message: aws.String(i.reason)}
	}
	if !i.ended() { // a terminated instance has no network any more
		i.network(r, &out)
	}
	return out
}

func (i *instance) network(r *region, out *types.Instance) {
	out.SubnetId, out.VpcId, out.SourceDestCheck = aws.String(i.subnet), aws.String(i.vpc), aws.Bool(true)
	out.SecurityGroups = r.groupIdentifiers(i.groups)
	for _, id := range i.enis {
		if e, ok := r.interfaces.get(id); ok {
			out.NetworkInterfaces = append(out.NetworkInterfaces, e.onInstance(r))
		}
	}
	if len(i.enis) > 0 {
		if e, ok := r.interfaces.get(i.enis[0]); ok {
			out.PrivateIpAddress, out.PrivateDnsName = aws.String(e.ip.String()), aws.String(privateName(r.name, e.ip))
			if e.public != nil {
				out.PublicIpAddress, out.PublicDnsName = aws.String(e.public.ip), aws.String(publicName(r.name, e.public.ip))
			}
		}
	}
	for _, d := range i.devices {
		out.BlockDeviceMappings = append(out.BlockDeviceMappings, types.InstanceBlockDeviceMapping{DeviceName: aws.String(d.name), Ebs: &types.EbsInstanceBlockDevice{
			VolumeId: aws.String(d.volume), Status: types.AttachmentStatusAttached, AttachTime: aws.Time(i.launched), DeleteOnTermination: aws.Bool(d.deleteOnTermination),
		}})
	}
}

// onInstance describes an interface as part of its instance.
func (e *eni) onInstance(r *region) types.InstanceNetworkInterface {
	out := types.InstanceNetworkInterface{
		NetworkInterfaceId: aws.String(e.id), SubnetId: aws.String(e.subnet), VpcId: aws.String(e.vpc), OwnerId: aws.String(account), MacAddress: aws.String(e.mac),
		Description: aws.String(e.description), InterfaceType: aws.String(string(e.kind)), PrivateIpAddress: aws.String(e.ip.String()),
		PrivateDnsName: aws.String(privateName(r.name, e.ip)), SourceDestCheck: aws.Bool(e.sourceDest), Status: e.status(), Groups: r.groupIdentifiers(e.groups),
		Ipv6Addresses: []types.InstanceIpv6Address{},
	}
	if p := e.public; p != nil {
		out.Association = &types.InstanceNetworkInterfaceAssociation{IpOwnerId: aws.String(p.owner), PublicIp: aws.String(p.ip), PublicDnsName: aws.String(publicName(r.name, p.ip))}
	}
	out.PrivateIpAddresses = []types.InstancePrivateIpAddress{{
		Primary: aws.Bool(true), PrivateIpAddress: out.PrivateIpAddress, PrivateDnsName: out.PrivateDnsName, Association: out.Association,
	}}
	if t := e.attachment; t != nil {
		out.Attachment = &types.InstanceNetworkInterfaceAttachment{
			AttachmentId: aws.String(t.id), AttachTime: aws.Time(t.at), DeleteOnTermination: aws.Bool(t.deleteOnTermination),
			DeviceIndex: aws.Int32(t.device), NetworkCardIndex: aws.Int32(t.card), Status: types.AttachmentStatusAttached,
		}
	}
	return out
}

// before is what s has in front of sep, or all of it.
func before(s, sep string) string {
	s, _, _ = strings.Cut(s, sep)
	return s
}

// terminate starts the end of an instance. When it has come, its interfaces and
// volumes go, and those who subscribed are told.
func (s *Service) terminate(r *region, i *instance, reason string) {
	if i.state == types.InstanceStateNameShuttingDown || i.ended() {
		return
	}
	i.state, i.reason = types.InstanceStateNameShuttingDown, reason
	who := "User"
	if reason == spotEnd {
		who = "Service"
	}
	i.transition = who + " initiated (" + time.Now().UTC().Format("2006-01-02 15:04:05 GMT") + ")"
	s.after(s.clock.Duration(clock.InstanceTerminate), func() func() {
		i.state = types.InstanceStateNameTerminated
		for _, id := range i.enis {
			e, ok := r.interfaces.get(id)
			switch {
			case !ok:
			case e.attachment != nil && e.attachment.deleteOnTermination:
				r.removeInterface(e)
			default:
				e.attachment = nil
			}
		}
		for _, d := range i.devices {
			v, ok := r.volumes.get(d.volume)
			switch {
			case !ok:
			case d.deleteOnTermination:
				r.volumes.remove(v.id)
				r.forget(v.id)
			default:
				v.unplug()
			}
		}
		s.expire(func() { r.instances.remove(i.id); r.forget(i.id) })
		subscribers := slices.Clone(s.terminated)
		return func() {
			for _, f := range subscribers {
				f(r.name, i.id)
			}
		}
	})
}

// Terminate starts the end of an instance; an unknown id is no error.
func (s *Service) Terminate(region, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	if i, ok := r.instances.get(id); ok {
		s.terminate(r, i, "Client.UserInitiatedShutdown: User initiated shutdown")
	}
}

// Instance returns an instance; one that was terminated is found for about an
// hour (at speed 1).
func (s *Service) Instance(region, id string) (Instance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	i, ok := r.instances.get(id)
	if !ok {
		return Instance{}, false
	}
	return r.instanceSnapshot(i), true
}

// Instances returns all instances of the region for which keep is true.
func (s *Service) Instances(region string, keep func(Instance) bool) []Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	var list []Instance
	for _, i := range r.instances.all() {
		if x := r.instanceSnapshot(i); keep(x) {
			list = append(list, x)
		}
	}
	return list
}

func (r *region) instanceSnapshot(i *instance) Instance {
	x := Instance{
		ID: i.id, Type: i.instanceType, ImageID: i.image, State: string(i.state), Market: i.market, SubnetID: i.subnet, VPC: i.vpc,
		Zone: i.zone.name, ZoneID: i.zone.id, PrivateIP: i.ip, PublicIP: i.publicIP, Architecture: i.architecture, Template: i.template,
		TemplateVersion: i.templateVersion, InstanceProfile: i.profile, UserData: i.userData, Groups: slices.Clone(i.groups),
		Interfaces: slices.Clone(i.enis), CapacityReservation: i.capacityReservation, Launched: i.launched, Running: i.running,
		Tags: r.tagsOf(i.id), TerminationReason: i.reason,
	}
	if len(i.enis) > 0 {
		if e, ok := r.interfaces.get(i.enis[0]); ok {
			x.PrivateDNSName = privateName(r.name, e.ip)
		}
	}
	return x
}
