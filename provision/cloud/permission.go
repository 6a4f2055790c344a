package cloud

import (
	"encoding/json"
	"slices"
	"strings"
)

// Permission is what a caller of AWS must be allowed to do for one purpose. What
// calls AWS declares its own, beside its code; together they are the least
// policy of a cluster ([NewPolicy]).
type Permission struct {
	// Sid names the policy's statement. Permissions with the same one become one
	// statement, which allows all of their actions on all of their resources.
	Sid string
	// Actions are IAM's, such as "ec2:CreateVpc"; see the service authorization
	// reference, https://docs.aws.amazon.com/service-authorization/latest/reference/.
	Actions []string
	// Resources are ARNs; none means all.
	Resources []string
	// Conditions narrow it down.
	Conditions Conditions
}

// Conditions are IAM's: operator, key, alternatives.
type Conditions map[string]map[string][]string

// Permitted is implemented by what needs permissions of its caller.
type Permitted interface {
	Permissions(Site) []Permission
}

// Site is where a policy is to hold: what ARNs are made of.
type Site struct {
	Partition string // "aws"
	Region    string
	Account   string // twelve digits, or "*"
	Cluster   string // the cluster's name
}

// Partition is the first part of a region's ARNs (IAM User Guide, "Amazon
// Resource Names").
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// ARN is the ARN of something in the site's region: ARN("eks", "cluster/x").
func (s Site) ARN(service, resource string) string {
	return strings.Join([]string{"arn", s.Partition, service, s.Region, s.Account, resource}, ":")
}

// IAM is the ARN of something of IAM, which knows no regions: IAM("role/x").
func (s Site) IAM(resource string) string {
	return "arn:" + s.Partition + ":iam::" + s.Account + ":" + resource
}

// S3 is the ARN of a bucket, or of objects in it, which names no account.
func (s Site) S3(resource string) string { return "arn:" + s.Partition + ":s3:::" + resource }

// Find permits calls that list and describe, for which IAM knows no resource.
func Find(actions ...string) Permission {
	return Permission{Sid: "Find", Actions: actions}
}

// Change permits calls that make, change and delete what has no name before it
// is made, in the site's region only.
func (s Site) Change(actions ...string) Permission {
	return Permission{
		Sid: "ChangeEC2", Actions: actions,
		Conditions: Conditions{"StringEquals": {"aws:RequestedRegion": {s.Region}}},
	}
}

// Reading is the part of p that changes nothing; without actions if there is none.
func (p Permission) Reading() Permission {
	p.Actions = slices.DeleteFunc(slices.Clone(p.Actions), func(action string) bool {
		_, name, _ := strings.Cut(action, ":")
		return !strings.HasPrefix(name, "Describe") && !strings.HasPrefix(name, "Get") && !strings.HasPrefix(name, "List")
	})
	return p
}

// MaxPolicy is how long a managed policy may be, in characters that are no white
// space (IAM User Guide, "IAM and AWS STS quotas"). All inline policies of a role
// together may have MaxRolePolicies.
const (
	MaxPolicy       = 6144
	MaxRolePolicies = 10240
)

// Policy is an IAM policy document.
type Policy struct {
	Version   string
	Statement []PolicyStatement
}

// PolicyStatement allows actions.
type PolicyStatement struct {
	Sid       string
	Effect    string
	Action    policyList
	Resource  policyList
	Condition map[string]map[string]policyList `json:",omitempty"`
}

// policyList is written without brackets when it has one element, as IAM allows.
type policyList []string

// MarshalJSON implements [json.Marshaler].
func (l policyList) MarshalJSON() ([]byte, error) {
	if len(l) == 1 {
		return json.Marshal(l[0])
	}
	return json.Marshal([]string(l))
}

// NewPolicy is the policy that allows all of these permissions. Statements stand
// in the order in which their permissions come first; what is in them is sorted.
func NewPolicy(permissions []Permission) Policy {
	p := Policy{Version: "2012-10-17", Statement: []PolicyStatement{}}
	for _, perm := range permissions {
		if len(perm.Actions) == 0 {
			continue
		}
		i := slices.IndexFunc(p.Statement, func(s PolicyStatement) bool { return s.Sid == perm.Sid })
		if i < 0 {
			i = len(p.Statement)
			p.Statement = append(p.Statement, PolicyStatement{Sid: perm.Sid, Effect: "Allow"})
		}
		p.Statement[i].add(perm)
	}
	return p
}

func (s *PolicyStatement) add(p Permission) {
	resources := p.Resources
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	s.Action = s.Action.with(p.Actions)
	s.Resource = s.Resource.with(resources)
	for operator, keys := range p.Conditions {
		if s.Condition == nil {
			s.Condition = map[string]map[string]policyList{}
		}
		if s.Condition[operator] == nil {
			s.Condition[operator] = map[string]policyList{}
		}
		for key, values := range keys {
			s.Condition[operator][key] = s.Condition[operator][key].with(values)
		}
	}
}

// with is the sorted union of l and more.
func (l policyList) with(more []string) policyList {
	all := append(slices.Clone(l), more...)
	slices.Sort(all)
	return slices.Compact(all)
}

// Size is how IAM counts a policy: its characters without white space.
func (p Policy) Size() (int, error) {
	text, err := json.Marshal(p)
	return len(text), err
}
