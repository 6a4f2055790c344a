package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// rule is one rule of a security group: one source or destination.
type rule struct {
	id                string
	egress            bool
	protocol          string // tcp, udp, icmp, icmpv6, -1, or a number
	from, to          int32
	cidr, cidr6, list string
	peer              string // another group, or the same
	description       string
}

// same tells whether two rules speak of the same traffic.
func (x rule) same(y rule) bool {
	x.id, y.id, x.description, y.description = "", "", "", ""
	return x == y
}

// words describes a rule as EC2's errors do.
func (x rule) words() string {
	s := "peer: " + x.cidr + x.cidr6 + x.list + x.peer + ", "
	if x.protocol == "-1" {
		return s + "ALL, ALLOW"
	}
	s += strings.ToUpper(x.protocol) + ", "
	if strings.HasPrefix(x.protocol, "icmp") {
		return s + fmt.Sprintf("type: %d, code: %d, ALLOW", x.from, x.to)
	}
	return s + fmt.Sprintf("from port: %d, to port: %d, ALLOW", x.from, x.to)
}

// permissions groups rules as IpPermissions has them: by protocol and ports.
func permissions(rules []rule, egress bool) []types.IpPermission {
	list := []types.IpPermission{}
	at := map[string]int{}
	for _, x := range rules {
		if x.egress != egress {
			continue
		}
		key := fmt.Sprint(x.protocol, "/", x.from, "/", x.to)
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			p := types.IpPermission{
				IpProtocol: aws.String(x.protocol), IpRanges: []types.IpRange{}, Ipv6Ranges: []types.Ipv6Range{},
				PrefixListIds: []types.PrefixListId{}, UserIdGroupPairs: []types.UserIdGroupPair{},
			}
			if x.protocol != "-1" {
				p.FromPort, p.ToPort = aws.Int32(x.from), aws.Int32(x.to)
			}
			list = append(list, p)
		}
		list[i] = x.appendTo(list[i])
	}
	return list
}

func (x rule) appendTo(p types.IpPermission) types.IpPermission {
	var text *string
	if x.description != "" {
		text = aws.String(x.description)
	}
	switch {
	case x.cidr != "":
		p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String(x.cidr), Description: text})
	case x.cidr6 != "":
		p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: aws.String(x.cidr6), Description: text})
	case x.list != "":
		p.PrefixListIds = append(p.PrefixListIds, types.PrefixListId{PrefixListId: aws.String(x.list), Description: text})
	default:
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, types.UserIdGroupPair{GroupId: aws.String(x.peer), UserId: aws.String(account), Description: text})
	}
	return p
}

func (x rule) output(r *region, g *group) types.SecurityGroupRule {
	out := types.SecurityGroupRule{
		SecurityGroupRuleId: aws.String(x.id), GroupId: aws.String(g.id), GroupOwnerId: aws.String(account), IsEgress: aws.Bool(x.egress),
		IpProtocol: aws.String(x.protocol), FromPort: aws.Int32(x.from), ToPort: aws.Int32(x.to), Tags: r.sdkTags(x.id),
		SecurityGroupRuleArn: aws.String("arn:aws:ec2:" + r.name + ":" + account + ":security-group-rule/" + x.id),
	}
	for value, field := range map[string]**string{x.cidr: &out.CidrIpv4, x.cidr6: &out.CidrIpv6, x.list: &out.PrefixListId, x.description: &out.Description} {
		if value != "" {
			*field = aws.String(value)
		}
	}
	if x.peer != "" {
		out.ReferencedGroupInfo = &types.ReferencedSecurityGroup{GroupId: aws.String(x.peer), UserId: aws.String(account)}
	}
	return out
}

// DescribeSecurityGroupRules lists single rules.
func (a api) DescribeSecurityGroupRules(ctx context.Context, in *ec2.DescribeSecurityGroupRulesInput) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	var all []types.SecurityGroupRule
	for _, g := range r.groups.shown() {
		for _, x := range g.rules {
			all = append(all, x.output(r, g))
		}
	}
	for _, id := range in.SecurityGroupRuleIds {
		if !slices.ContainsFunc(all, func(x types.SecurityGroupRule) bool { return *x.SecurityGroupRuleId == id }) {
			return nil, fail("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
	}
	kept, err := describe(all, in.SecurityGroupRuleIds, func(x types.SecurityGroupRule) *string { return x.SecurityGroupRuleId }, in.Filters, filters[types.SecurityGroupRule]{
		"group-id":               func(x types.SecurityGroupRule) []string { return one(x.GroupId) },
		"security-group-rule-id": func(x types.SecurityGroupRule) []string { return one(x.SecurityGroupRuleId) },
	}, func(x types.SecurityGroupRule) []types.Tag { return x.Tags })
	return &ec2.DescribeSecurityGroupRulesOutput{SecurityGroupRules: kept}, err
}

// legacy are the fields by which a call may give one rule without a list.
type legacy struct {
	protocol, cidr *string
	from, to       *int32
}

// wanted turns a request's permissions into rules.
func (r *region) wanted(g *group, egress bool, ps []types.IpPermission, l legacy) ([]rule, error) {
	if len(ps) == 0 && l.protocol != nil {
		p := types.IpPermission{IpProtocol: l.protocol, FromPort: l.from, ToPort: l.to}
		if l.cidr != nil {
			p.IpRanges = []types.IpRange{{CidrIp: l.cidr}}
		}
		ps = []types.IpPermission{p}
	}
	if len(ps) == 0 {
		return nil, fail("MissingParameter", "The request must contain the parameter ipPermissions")
	}
	var rules []rule
	for _, p := range ps {
		base, err := ports(p, egress)
		if err != nil {
			return nil, err
		}
		more, err := r.peers(g, base, p)
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			return nil, fail("MissingParameter", "Missing source specification: include source security group or CIDR information")
		}
		rules = append(rules, more...)
	}
	return rules, nil
}

// ports reads protocol and port range. Protocol -1 covers all ports, whatever
// else the request says.
func ports(p types.IpPermission, egress bool) (rule, error) {
	names := map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
	x := rule{egress: egress, protocol: strings.ToLower(aws.ToString(p.IpProtocol)), from: -1, to: -1}
	if name, ok := names[x.protocol]; ok {
		x.protocol = name
	}
	switch x.protocol {
	case "-1":
		return x, nil
	case "tcp", "udp":
		if p.FromPort == nil || p.ToPort == nil {
			return x, invalidValue("Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
		}
		x.from, x.to = *p.FromPort, *p.ToPort
		if x.from < 0 || x.to > 65535 {
			return x, invalidValue("TCP/UDP port (%d) out of range", max(x.to, -x.from))
		}
		if x.from > x.to {
			return x, invalidValue("Invalid TCP/UDP port range (%d:%d)", x.from, x.to)
		}
	case "icmp", "icmpv6":
		x.from, x.to = aws.ToInt32(p.FromPort), aws.ToInt32(p.ToPort)
	default:
		if n, err := strconv.Atoi(x.protocol); err != nil || n < 0 || n > 255 {
			return x, invalidValue("Invalid value '%s' for IP protocol. Unknown protocol.", aws.ToString(p.IpProtocol))
		}
	}
	return x, nil
}

func (r *region) peers(g *group, base rule, p types.IpPermission) ([]rule, error) {
	var rules []rule
	for _, text := range descriptions(p) {
		if len(text) > 255 || !groupText.MatchString(text) {
			return nil, invalidValue("Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
		}
	}
	add := func(description *string, set func(*rule)) {
		x := base
		x.description = aws.ToString(description)
		set(&x)
		rules = append(rules, x)
	}
	for _, v := range p.IpRanges {
		prefix, err := netip.ParsePrefix(aws.ToString(v.CidrIp))
		if err != nil || !prefix.Addr().Is4() {
			return nil, invalidValue("CIDR block %s is malformed", aws.ToString(v.CidrIp))
		}
		// "Amazon Web Services canonicalizes IPv4 and IPv6 CIDRs"
		// (API reference, AuthorizeSecurityGroupIngress).
		add(v.Description, func(x *rule) { x.cidr = prefix.Masked().String() })
	}
	for _, v := range p.Ipv6Ranges {
		prefix, err := netip.ParsePrefix(aws.ToString(v.CidrIpv6))
		if err != nil || !prefix.Addr().Is6() {
			return nil, invalidValue("CIDR block %s is malformed", aws.ToString(v.CidrIpv6))
		}
		add(v.Description, func(x *rule) { x.cidr6 = prefix.Masked().String() })
	}
	for _, v := range p.PrefixListIds {
		add(v.Description, func(x *rule) { x.list = aws.ToString(v.PrefixListId) })
	}
	for _, v := range p.UserIdGroupPairs {
		other, err := lookup(r.groups, kindGroup, v.GroupId)
		if err != nil {
			return nil, err
		}
		if other.vpc != g.vpc {
			return nil, fail("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
		}
		add(v.Description, func(x *rule) { x.peer = other.id })
	}
	return rules, nil
}

// descriptions are the texts of all rules of a permission.
func descriptions(p types.IpPermission) []string {
	var texts []string
	for _, v := range p.IpRanges {
		texts = append(texts, aws.ToString(v.Description))
	}
	for _, v := range p.Ipv6Ranges {
		texts = append(texts, aws.ToString(v.Description))
	}
	for _, v := range p.PrefixListIds {
		texts = append(texts, aws.ToString(v.Description))
	}
	for _, v := range p.UserIdGroupPairs {
		texts = append(texts, aws.ToString(v.Description))
	}
	return texts
}

func (a api) authorize(ctx context.Context, id *string, egress bool, ps []types.IpPermission, l legacy, specs []types.TagSpecification) ([]types.SecurityGroupRule, error) {
	tags, err := tagsFor(types.ResourceTypeSecurityGroupRule, specs)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	g, err := lookup(r.groups, kindGroup, id)
	if err != nil {
		return nil, err
	}
	rules, err := r.wanted(g, egress, ps, l)
	if err != nil {
		return nil, err
	}
	have := slices.Clone(g.rules)
	for i := range rules {
		if slices.ContainsFunc(have, rules[i].same) {
			return nil, fail("InvalidPermission.Duplicate", "the specified rule %q already exists", rules[i].words())
		}
		rules[i].id = newID("sgr")
		have = append(have, rules[i])
	}
	count := 0
	for _, x := range have {
		if x.egress == egress {
			count++
		}
	}
	if float64(count) > r.quota(quotaRules) {
		return nil, fail("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
	}
	g.rules = have
	out := []types.SecurityGroupRule{}
	for _, x := range rules {
		r.tags[x.id] = tags
		out = append(out, x.output(r, g))
	}
	return out, nil
}

// AuthorizeSecurityGroupIngress adds rules for traffic that comes in, all of them or none.
func (a api) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	rules, err := a.authorize(ctx, in.GroupId, false, in.IpPermissions, legacy{in.IpProtocol, in.CidrIp, in.FromPort, in.ToPort}, in.TagSpecifications)
	return &ec2.AuthorizeSecurityGroupIngressOutput{Return: aws.Bool(true), SecurityGroupRules: rules}, err
}

// AuthorizeSecurityGroupEgress adds rules for traffic that goes out.
func (a api) AuthorizeSecurityGroupEgress(ctx context.Context, in *ec2.AuthorizeSecurityGroupEgressInput) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
	rules, err := a.authorize(ctx, in.GroupId, true, in.IpPermissions, legacy{in.IpProtocol, in.CidrIp, in.FromPort, in.ToPort}, in.TagSpecifications)
	return &ec2.AuthorizeSecurityGroupEgressOutput{Return: aws.Bool(true), SecurityGroupRules: rules}, err
}

func (a api) revoke(ctx context.Context, id *string, egress bool, ids []string, ps []types.IpPermission, l legacy) error {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	g, err := lookup(r.groups, kindGroup, id)
	if err != nil {
		return err
	}
	left := slices.Clone(g.rules)
	drop := func(match func(rule) bool) bool {
		i := slices.IndexFunc(left, match)
		if i >= 0 {
			left = slices.Delete(left, i, i+1)
		}
		return i >= 0
	}
	for _, ruleID := range ids {
		if !drop(func(x rule) bool { return x.id == ruleID && x.egress == egress }) {
			return fail("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", ruleID)
		}
	}
	if len(ids) == 0 {
		rules, err := r.wanted(g, egress, ps, l)
		if err != nil {
			return err
		}
		for _, x := range rules {
			if !drop(x.same) {
				return fail("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
		}
	}
	g.rules = left
	return nil
}

// RevokeSecurityGroupIngress removes rules for traffic that comes in, all of them or none.
func (a api) RevokeSecurityGroupIngress(ctx context.Context, in *ec2.RevokeSecurityGroupIngressInput) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	err := a.revoke(ctx, in.GroupId, false, in.SecurityGroupRuleIds, in.IpPermissions, legacy{in.IpProtocol, in.CidrIp, in.FromPort, in.ToPort})
	return &ec2.RevokeSecurityGroupIngressOutput{Return: aws.Bool(true)}, err
}

// RevokeSecurityGroupEgress removes rules for traffic that goes out.
func (a api) RevokeSecurityGroupEgress(ctx context.Context, in *ec2.RevokeSecurityGroupEgressInput) (*ec2.RevokeSecurityGroupEgressOutput, error) {
	err := a.revoke(ctx, in.GroupId, true, in.SecurityGroupRuleIds, in.IpPermissions, legacy{in.IpProtocol, in.CidrIp, in.FromPort, in.ToPort})
	return &ec2.RevokeSecurityGroupEgressOutput{Return: aws.Bool(true)}, err
}
