package ec2

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// group is a security group.
type group struct {
	id, vpc, name, description string
	rules                      []rule
}

func registerGroups(w *wire.Server, a api) {
	handle(w, a.CreateSecurityGroup)
	handle(w, a.DescribeSecurityGroups)
	handle(w, a.DeleteSecurityGroup)
	handle(w, a.DescribeSecurityGroupRules)
	handle(w, a.AuthorizeSecurityGroupIngress)
	handle(w, a.AuthorizeSecurityGroupEgress)
	handle(w, a.RevokeSecurityGroupIngress)
	handle(w, a.RevokeSecurityGroupEgress)
}

// addGroup makes a group that lets everything out, as every new one does.
func (r *region) addGroup(vpc, name, description string) *group {
	g := &group{id: newID("sg"), vpc: vpc, name: name, description: description}
	g.rules = []rule{{id: newID("sgr"), egress: true, protocol: "-1", from: -1, to: -1, cidr: "0.0.0.0/0"}}
	r.groups.add(g.id, g)
	return g
}

func (r *region) groupARN(id string) string {
	return "arn:aws:ec2:" + r.name + ":" + account + ":security-group/" + id
}

func (g *group) output(r *region) types.SecurityGroup {
	return types.SecurityGroup{
		GroupId: aws.String(g.id), GroupName: aws.String(g.name), Description: aws.String(g.description), VpcId: aws.String(g.vpc), OwnerId: aws.String(account),
		SecurityGroupArn: aws.String(r.groupARN(g.id)), IpPermissions: permissions(g.rules, false), IpPermissionsEgress: permissions(g.rules, true), Tags: r.sdkTags(g.id),
	}
}

var groupText = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*$`)

func (r *region) newGroup(vpcID, name, description string) (*group, error) {
	v, err := lookup(r.vpcs, kindVPC, &vpcID)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(name, "sg-"):
		return nil, invalidValue("Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*", name)
	case name == "default":
		return nil, invalidValue("Cannot use reserved security group name: %s", name)
	case len(name) > 255:
		return nil, invalidValue("Value (%s) for parameter GroupName is invalid. Group name must be less than 256 characters.", name)
	case !groupText.MatchString(name):
		return nil, invalidValue("Value (%s) for parameter GroupName is invalid. Character sets beyond ASCII are not supported.", name)
	case len(description) > 255 || !groupText.MatchString(description):
		return nil, invalidValue("Invalid security group description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
	case r.reached(quotaGroups, len(r.groups.order)):
		return nil, fail("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
	}
	for _, g := range r.groups.all() {
		if g.vpc == v.id && g.name == name {
			return nil, fail("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.id)
		}
	}
	return r.addGroup(v.id, name, description), nil
}

// CreateSecurityGroup makes a group; its name is unique in the VPC.
func (a api) CreateSecurityGroup(ctx context.Context, in *ec2.CreateSecurityGroupInput) (*ec2.CreateSecurityGroupOutput, error) {
	tags, err := tagsFor(types.ResourceTypeSecurityGroup, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if in.VpcId == nil {
		return nil, fail("VPCIdNotSpecified", "No default VPC for this user")
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	g, err := r.newGroup(*in.VpcId, aws.ToString(in.GroupName), aws.ToString(in.Description))
	if err != nil {
		return nil, err
	}
	r.tags[g.id] = tags
	return &ec2.CreateSecurityGroupOutput{GroupId: aws.String(g.id), SecurityGroupArn: aws.String(r.groupARN(g.id)), Tags: r.sdkTags(g.id)}, nil
}

// DescribeSecurityGroups lists groups.
func (a api) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.groups, kindGroup, in.GroupIds); err != nil {
		return nil, err
	}
	if len(in.GroupNames) > 0 { // names are for the default VPC, and there is none
		return nil, fail("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC 'none'", in.GroupNames[0])
	}
	if err := checkVPCFilter(in.Filters); err != nil {
		return nil, err
	}
	var all []types.SecurityGroup
	for _, g := range r.groups.shown() {
		all = append(all, g.output(r))
	}
	kept, err := describe(all, in.GroupIds, func(g types.SecurityGroup) *string { return g.GroupId }, in.Filters, groupFilters(),
		func(g types.SecurityGroup) []types.Tag { return g.Tags })
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: kept}, err
}

// checkVPCFilter refuses what cannot be a VPC's id. EC2's whole message is the name
// of the filter (aws/aws-cli#7137, kubernetes-sigs/aws-load-balancer-controller#3352).
func checkVPCFilter(fs []types.Filter) error {
	for _, f := range fs {
		if aws.ToString(f.Name) != "vpc-id" {
			continue
		}
		for _, id := range f.Values {
			if !strings.ContainsAny(id, "*?") && !wellFormed(kindVPC.prefix, id) {
				return invalidValue("vpc-id")
			}
		}
	}
	return nil
}

func groupFilters() filters[types.SecurityGroup] {
	f := filters[types.SecurityGroup]{
		"description": func(g types.SecurityGroup) []string { return one(g.Description) },
		"group-id":    func(g types.SecurityGroup) []string { return one(g.GroupId) },
		"group-name":  func(g types.SecurityGroup) []string { return one(g.GroupName) },
		"owner-id":    func(g types.SecurityGroup) []string { return one(g.OwnerId) },
		"vpc-id":      func(g types.SecurityGroup) []string { return one(g.VpcId) },
	}
	for prefix, list := range map[string]func(types.SecurityGroup) []types.IpPermission{
		"ip-permission.":        func(g types.SecurityGroup) []types.IpPermission { return g.IpPermissions },
		"egress.ip-permission.": func(g types.SecurityGroup) []types.IpPermission { return g.IpPermissionsEgress },
	} {
		over := func(get func(types.IpPermission) []string) func(types.SecurityGroup) []string {
			return func(g types.SecurityGroup) []string {
				var values []string
				for _, p := range list(g) {
					values = append(values, get(p)...)
				}
				return values
			}
		}
		f[prefix+"cidr"] = over(func(p types.IpPermission) []string {
			return each(p.IpRanges, func(x types.IpRange) *string { return x.CidrIp })
		})
		f[prefix+"group-id"] = over(func(p types.IpPermission) []string {
			return each(p.UserIdGroupPairs, func(x types.UserIdGroupPair) *string { return x.GroupId })
		})
		f[prefix+"protocol"] = over(func(p types.IpPermission) []string { return one(p.IpProtocol) })
		f[prefix+"from-port"] = over(func(p types.IpPermission) []string {
			if p.FromPort == nil {
				return nil
			}
			return number(*p.FromPort)
		})
		f[prefix+"to-port"] = over(func(p types.IpPermission) []string {
			if p.ToPort == nil {
				return nil
			}
			return number(*p.ToPort)
		})
	}
	return f
}

// DeleteSecurityGroup deletes a group that nothing uses: no interface, no rule
// of another group.
func (a api) DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput) (*ec2.DeleteSecurityGroupOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := r.deleteGroup(aws.ToString(in.GroupId)); err != nil {
		return nil, err
	}
	return &ec2.DeleteSecurityGroupOutput{GroupId: in.GroupId, Return: aws.Bool(true)}, nil
}

func (r *region) deleteGroup(id string) error {
	g, err := lookup(r.groups, kindGroup, &id)
	if err != nil {
		return err
	}
	if g.name == "default" {
		return fail("CannotDelete", "the specified group: \"%s\" name: \"%s\" cannot be deleted by a user", g.id, g.name)
	}
	for _, e := range r.interfaces.all() {
		if slices.Contains(e.groups, g.id) {
			return dependency("resource %s has a dependent object", g.id)
		}
	}
	for _, other := range r.groups.all() {
		if other != g && slices.ContainsFunc(other.rules, func(x rule) bool { return x.peer == g.id }) {
			return dependency("resource %s has a dependent object", g.id)
		}
	}
	r.groups.remove(g.id)
	r.forget(g.id)
	for _, x := range g.rules {
		r.forget(x.id)
	}
	return nil
}

// CreateSecurityGroup makes a group for another service, such as the cluster
// security group of EKS, and may set AWS's own tags ("aws:…").
func (s *Service) CreateSecurityGroup(region string, in GroupSpec) (Group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	g, err := r.newGroup(in.VPC, in.Name, in.Description)
	if err != nil {
		return Group{}, err
	}
	r.tags[g.id] = maps.Clone(in.Tags)
	return r.groupSnapshot(g), nil
}

// DeleteSecurityGroup deletes a group; the error is EC2's DependencyViolation
// while something uses it.
func (s *Service) DeleteSecurityGroup(region, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.region(region).deleteGroup(id)
}

// AuthorizeSelf lets the members of a group talk to each other: all traffic in,
// and all of it out to the group.
func (s *Service) AuthorizeSelf(region, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := lookup(s.region(region).groups, kindGroup, &id)
	if err != nil {
		return err
	}
	for _, egress := range []bool{false, true} {
		g.rules = append(slices.Clone(g.rules), rule{id: newID("sgr"), egress: egress, protocol: "-1", from: -1, to: -1, peer: id})
	}
	return nil
}

// SecurityGroups returns the groups with these ids that a caller names, in their
// order; the error
// is EC2's InvalidGroup.NotFound when one does not exist.
func (s *Service) SecurityGroups(region string, ids []string) ([]Group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.seenRegion(region)
	list := make([]Group, 0, len(ids))
	for _, id := range ids {
		g, err := lookup(r.groups, kindGroup, &id)
		if err != nil {
			return nil, err
		}
		list = append(list, r.groupSnapshot(g))
	}
	return list, nil
}

// DefaultGroup returns the id of a VPC's default group.
func (s *Service) DefaultGroup(region, vpc string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.region(region).vpcs.get(vpc)
	if !ok {
		return "", false
	}
	return v.defaultGroup, true
}

func (r *region) groupSnapshot(g *group) Group {
	return Group{ID: g.id, VPC: g.vpc, Name: g.name, Tags: r.tagsOf(g.id)}
}

// Admits tells whether one of some security groups lets traffic of another group's
// members in, at a TCP port. Address ranges count only if they are everybody's.
func (s *Service) Admits(region string, groups, from []string, port int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	for _, id := range groups {
		g, ok := r.groups.get(id)
		if ok && slices.ContainsFunc(g.rules, func(x rule) bool {
			return !x.egress && (x.protocol == "-1" || x.protocol == "tcp" && x.from <= port && port <= x.to) &&
				(x.cidr == "0.0.0.0/0" || slices.Contains(from, x.peer))
		}) {
			return true
		}
	}
	return false
}
