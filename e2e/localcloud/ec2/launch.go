package ec2

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/clock"
)

// plan is a launch with everything resolved: the template under what the
// request itself says. Data has the members of a launch template.
type plan struct {
	data          types.ResponseLaunchTemplateData
	template      *template
	version       int64
	entry         *typeEntry
	subnet        *subnet
	market        string
	groups        []string
	profile       string
	image         *types.Image
	tags          map[types.ResourceType]map[string]string
	reservation   *reservation
	clientToken   string
	capacityBlock bool
	publicIP      *bool
}

// Launch starts one instance for another service. The errors are EC2's, with
// its codes for missing capacity, exceeded quotas and full subnets.
func (s *Service) Launch(region string, in LaunchSpec) (Instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	data := types.ResponseLaunchTemplateData{InstanceType: types.InstanceType(in.Type), SecurityGroupIds: in.Groups}
	for value, field := range map[string]**string{in.ImageID: &data.ImageId, in.UserData: &data.UserData} {
		if value != "" {
			*field = aws.String(value)
		}
	}
	if p := in.InstanceProfile; strings.HasPrefix(p, "arn:") {
		data.IamInstanceProfile = &types.LaunchTemplateIamInstanceProfileSpecification{Arn: aws.String(p)}
	} else if p != "" {
		data.IamInstanceProfile = &types.LaunchTemplateIamInstanceProfileSpecification{Name: aws.String(p)}
	}
	if in.VolumeGiB > 0 {
		data.BlockDeviceMappings = []types.LaunchTemplateBlockDeviceMapping{{DeviceName: aws.String(rootDevice), Ebs: &types.LaunchTemplateEbsBlockDevice{VolumeSize: aws.Int32(int32(in.VolumeGiB))}}}
	}
	if in.Market == Spot {
		data.InstanceMarketOptions = &types.LaunchTemplateInstanceMarketOptions{MarketType: types.MarketTypeSpot}
	}
	p, err := s.resolve(r, data, in.Template, in.TemplateVersion, in.SubnetID)
	if err != nil {
		return Instance{}, err
	}
	// Auto Scaling's own tags may start with "aws:".
	p.tags[types.ResourceTypeInstance] = merge(p.tags[types.ResourceTypeInstance], in.Tags)
	if err := s.check(r, p); err != nil {
		return Instance{}, err
	}
	i, err := s.start(r, p, newID("r"))
	if err != nil {
		return Instance{}, err
	}
	return r.instanceSnapshot(i), nil
}

func merge(a, b map[string]string) map[string]string {
	m := maps.Clone(a)
	if m == nil {
		m = map[string]string{}
	}
	maps.Copy(m, b)
	return m
}

// resolve lays the request over its template and finds all that it names.
func (s *Service) resolve(r *region, over types.ResponseLaunchTemplateData, templateID, version, subnetID string) (*plan, error) {
	p := &plan{tags: map[types.ResourceType]map[string]string{}}
	if templateID != "" {
		t, v, err := r.templateVersion(templateID, version)
		if err != nil {
			return nil, err
		}
		p.template, p.version = t, v.number
		p.data = v.data
	}
	p.overlay(over)
	if err := s.resolveTypeAndImage(r, p); err != nil {
		return nil, err
	}
	if err := r.resolveNetwork(p, subnetID); err != nil {
		return nil, err
	}
	p.market = OnDemand
	if m := p.data.InstanceMarketOptions; m != nil {
		switch m.MarketType {
		case types.MarketTypeSpot:
			p.market = Spot
		case types.MarketTypeCapacityBlock:
			p.capacityBlock = true
		}
	}
	for _, spec := range p.data.TagSpecifications {
		tags, err := checkTags(spec.Tags, p.tags[spec.ResourceType])
		if err != nil {
			return nil, err
		}
		p.tags[spec.ResourceType] = tags
	}
	return p, s.resolveProfile(p)
}

// overlay puts the members that a launch may give itself over the template's.
func (p *plan) overlay(over types.ResponseLaunchTemplateData) {
	d := &p.data
	d.InstanceType = cmp.Or(over.InstanceType, d.InstanceType)
	for from, to := range map[*string]**string{over.ImageId: &d.ImageId, over.UserData: &d.UserData, over.KeyName: &d.KeyName} {
		if from != nil {
			*to = from
		}
	}
	if len(over.SecurityGroupIds) > 0 {
		d.SecurityGroupIds = over.SecurityGroupIds
	}
	if len(over.NetworkInterfaces) > 0 {
		d.NetworkInterfaces = over.NetworkInterfaces
	}
	if len(over.BlockDeviceMappings) > 0 {
		d.BlockDeviceMappings = over.BlockDeviceMappings
	}
	if over.IamInstanceProfile != nil {
		d.IamInstanceProfile = over.IamInstanceProfile
	}
	if over.InstanceMarketOptions != nil {
		d.InstanceMarketOptions = over.InstanceMarketOptions
	}
	if over.Placement != nil {
		d.Placement = over.Placement
	}
	if over.Monitoring != nil {
		d.Monitoring = over.Monitoring
	}
	if over.EbsOptimized != nil {
		d.EbsOptimized = over.EbsOptimized
	}
	if over.MetadataOptions != nil {
		d.MetadataOptions = over.MetadataOptions
	}
	if over.CapacityReservationSpecification != nil {
		d.CapacityReservationSpecification = over.CapacityReservationSpecification
	}
	if over.DisableApiTermination != nil {
		d.DisableApiTermination = over.DisableApiTermination
	}
	d.TagSpecifications = append(slices.Clone(d.TagSpecifications), over.TagSpecifications...)
}

func (s *Service) resolveTypeAndImage(r *region, p *plan) error {
	if p.data.ImageId == nil {
		return fail("MissingParameter", "The request must contain the parameter ImageId")
	}
	image, err := s.image(r, *p.data.ImageId)
	if err != nil {
		return err
	}
	p.image = image
	name := string(cmp.Or(p.data.InstanceType, "m1.small")) // EC2's own default, too old for the table
	p.entry = s.types[name]
	if p.entry == nil || len(p.entry.offeredIn(r.name)) == 0 {
		return invalidValue("Invalid value '%s' for InstanceType.", name)
	}
	if a := p.entry.info.ProcessorInfo.SupportedArchitectures; !slices.Contains(a, types.ArchitectureType(image.Architecture)) {
		return invalidValue("The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.",
			strings.Join(words(a), ","), image.Architecture)
	}
	return nil
}

func (r *region) resolveNetwork(p *plan, subnetID string) error {
	nics := p.data.NetworkInterfaces
	if len(nics) > 0 && len(p.data.SecurityGroupIds) > 0 {
		return fail("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	if subnetID == "" && len(nics) > 0 {
		subnetID = aws.ToString(nics[0].SubnetId)
	}
	if subnetID == "" {
		return fail("MissingInput", "No subnets found for the default VPC 'none'. Please specify a subnet.")
	}
	s, err := lookup(r.subnets, kindSubnet, &subnetID)
	if err != nil {
		return err
	}
	p.subnet = s
	if pl := p.data.Placement; pl != nil && pl.AvailabilityZone != nil && *pl.AvailabilityZone != s.zone.name {
		return invalidValue("The availability zone '%s' does not match the subnet '%s'.", *pl.AvailabilityZone, s.id)
	}
	p.groups = p.data.SecurityGroupIds
	if len(nics) > 0 {
		p.groups = nics[0].Groups
		p.publicIP = nics[0].AssociatePublicIpAddress
	}
	p.groups, err = r.checkGroups(s.vpc, p.groups)
	return err
}

func (s *Service) resolveProfile(p *plan) error {
	x := p.data.IamInstanceProfile
	if x == nil {
		return nil
	}
	name, parameter := aws.ToString(x.Name), "iamInstanceProfile.name"
	if x.Arn != nil {
		name, parameter = *x.Arn, "iamInstanceProfile.arn"
	}
	if _, ok := s.iam.InstanceProfile(name); !ok {
		return invalidValue("Value (%s) for parameter %s is invalid. Invalid IAM Instance Profile %s", name, parameter, strings.TrimPrefix(parameter, "iamInstanceProfile."))
	}
	p.profile = name
	if x.Arn == nil {
		p.profile = "arn:aws:iam::" + account + ":instance-profile/" + name
	}
	return nil
}

// check refuses what EC2 would: interfaces that the type does not have, markets,
// zones, reservations, quotas, capacity; in this order.
func (s *Service) check(r *region, p *plan) error {
	if err := p.checkInterfaces(); err != nil {
		return err
	}
	if err := p.checkDisks(); err != nil {
		return err
	}
	if err := p.checkOptions(); err != nil {
		return err
	}
	class := types.UsageClassType(p.market)
	if p.capacityBlock {
		class = types.UsageClassTypeCapacityBlock
	}
	name := string(p.entry.info.InstanceType)
	if !slices.Contains(p.entry.info.SupportedUsageClasses, class) {
		return fail("Unsupported", "The requested configuration is currently not supported. Please check the documentation for supported configurations.")
	}
	if err := r.checkZone(p.entry, p.subnet.zone.name); err != nil {
		return err
	}
	if err := r.checkPlacement(p); err != nil {
		return err
	}
	if err := r.resolveReservation(p, name); err != nil {
		return err
	}
	need := max(1, len(p.data.NetworkInterfaces))
	if p.subnet.free() < need {
		return fail("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", p.subnet.id)
	}
	if p.reservation == nil {
		if err := s.checkQuota(r, p.entry, p.market); err != nil {
			return err
		}
		return r.checkCapacity(p.entry, p.subnet.zone.name, p.market)
	}
	return nil
}

func (p *plan) checkInterfaces() error {
	net := p.entry.info.NetworkInfo
	name := p.entry.info.InstanceType
	efa := int32(0)
	taken := map[string]bool{}
	for _, n := range p.data.NetworkInterfaces {
		card := aws.ToInt32(n.NetworkCardIndex)
		if card >= aws.ToInt32(net.MaximumNetworkCards) {
			return invalidValue("Network card index %d is not valid for instance type %s.", card, name)
		}
		if n.DeviceIndex == nil {
			return fail("InvalidParameterCombination", "Each network interface requires a device index.")
		}
		if n.AssociatePublicIpAddress != nil && *n.AssociatePublicIpAddress && len(p.data.NetworkInterfaces) > 1 {
			return fail("InvalidParameterCombination", "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.")
		}
		slot := fmt.Sprint(card, "/", aws.ToInt32(n.DeviceIndex))
		if taken[slot] {
			return fail("InvalidParameterCombination", "Each network interface requires a unique device index on its network card.")
		}
		taken[slot] = true
		if strings.HasPrefix(aws.ToString(n.InterfaceType), "efa") {
			efa++
		}
	}
	if efa > 0 && !aws.ToBool(net.EfaSupported) {
		return fail("InvalidParameterCombination", "EFA interfaces are not supported on %s", name)
	}
	if efa > 0 && efa > aws.ToInt32(net.EfaInfo.MaximumEfaInterfaces) {
		return fail("AttachmentLimitExceeded", "EFA interface count %d exceeds the limit for %s", efa, name)
	}
	if len(p.data.NetworkInterfaces) > int(*net.MaximumNetworkInterfaces) {
		return fail("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", len(p.data.NetworkInterfaces), name)
	}
	return nil
}

// start makes the instance of a checked plan, pending, with its interfaces and volumes.
func (s *Service) start(r *region, p *plan, reservation string) (*instance, error) {
	i := &instance{
		id: newID("i"), reservation: reservation, instanceType: string(p.entry.info.InstanceType), image: *p.data.ImageId, market: p.market,
		subnet: p.subnet.id, vpc: p.subnet.vpc, zone: p.subnet.zone, state: types.InstanceStateNamePending, groups: p.groups,
		profile: p.profile, userData: aws.ToString(p.data.UserData), key: aws.ToString(p.data.KeyName), architecture: string(p.image.Architecture),
		launched: now(), clientToken: p.clientToken, protected: aws.ToBool(p.data.DisableApiTermination), ebs: aws.ToBool(p.data.EbsOptimized),
		metadata: metadataOptions(p.data.MetadataOptions),
	}
	i.running = time.Now().Add(s.clock.Duration(clock.InstanceBoot))
	if p.template != nil {
		i.template, i.templateVersion = p.template.id, p.version
	}
	if p.market == Spot {
		i.spotRequest = "sir-" + fixedHex(i.id, 8)
	}
	if p.data.Placement != nil {
		i.placement = aws.ToString(p.data.Placement.GroupName)
	}
	if p.data.Monitoring != nil {
		i.monitor = aws.ToBool(p.data.Monitoring.Enabled)
	}
	if p.reservation != nil {
		i.capacityReservation = p.reservation.id
	}
	if err := r.plug(i, p); err != nil {
		return nil, err
	}
	r.addVolumes(i, p)
	r.instances.add(i.id, i)
	r.tags[i.id] = p.tags[types.ResourceTypeInstance]
	if p.template != nil {
		r.tags[i.id] = merge(r.tags[i.id], map[string]string{"aws:ec2launchtemplate:id": p.template.id, "aws:ec2launchtemplate:version": fmt.Sprint(p.version)})
	}
	s.step(clock.InstanceBoot, func() {
		if i.state == types.InstanceStateNamePending {
			i.state = types.InstanceStateNameRunning
		}
	})
	return i, nil
}

// plug gives a new instance its interfaces: those of the plan, or one.
func (r *region) plug(i *instance, p *plan) error {
	nics := p.data.NetworkInterfaces
	if len(nics) == 0 {
		nics = []types.LaunchTemplateInstanceNetworkInterfaceSpecification{{}}
	}
	for _, n := range nics {
		groups := n.Groups
		if len(groups) == 0 {
			groups = p.groups
		}
		e, err := r.addInterface(p.subnet, groups)
		if err != nil {
			return err
		}
		e.description = aws.ToString(n.Description)
		if kind := types.NetworkInterfaceType(aws.ToString(n.InterfaceType)); kind != "" {
			e.kind = kind
		}
		e.attach(&attachment{
			id: newID("eni-attach"), instance: i.id, owner: account, device: aws.ToInt32(n.DeviceIndex), card: aws.ToInt32(n.NetworkCardIndex),
			deleteOnTermination: n.DeleteOnTermination == nil || *n.DeleteOnTermination,
		})
		r.tags[e.id] = maps.Clone(p.tags[types.ResourceTypeNetworkInterface])
		i.enis = append(i.enis, e.id)
		if i.ip != "" {
			continue
		}
		i.ip = e.ip.String()
		public := p.subnet.mapPublic
		if p.publicIP != nil {
			public = *p.publicIP
		}
		if public && len(nics) == 1 {
			e.public = &mapping{ip: publicIP(e.id), owner: "amazon"}
			i.publicIP = e.public.ip
		}
	}
	return nil
}

func metadataOptions(in *types.LaunchTemplateInstanceMetadataOptions) *types.InstanceMetadataOptionsResponse {
	out := &types.InstanceMetadataOptionsResponse{
		State: types.InstanceMetadataOptionsStateApplied, HttpEndpoint: types.InstanceMetadataEndpointStateEnabled, HttpTokens: types.HttpTokensStateRequired,
		HttpPutResponseHopLimit: aws.Int32(2), HttpProtocolIpv6: types.InstanceMetadataProtocolStateDisabled, InstanceMetadataTags: types.InstanceMetadataTagsStateDisabled,
	}
	if in != nil {
		out.HttpTokens = cmp.Or(types.HttpTokensState(in.HttpTokens), out.HttpTokens)
		out.HttpEndpoint = cmp.Or(types.InstanceMetadataEndpointState(in.HttpEndpoint), out.HttpEndpoint)
		if in.HttpPutResponseHopLimit != nil {
			out.HttpPutResponseHopLimit = in.HttpPutResponseHopLimit
		}
	}
	return out
}
