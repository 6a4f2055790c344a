package identity

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// fakeIAM is an account's roles. A call that it does not know panics.
type fakeIAM struct {
	API
	roles map[string]*fakeRole
	calls []string
	lose  bool // the next CreateRole takes effect and its reply is lost
}

type fakeRole struct {
	trust    string
	tags     []types.Tag
	attached []string
	inline   map[string]string
	profiles []string
	path     string
}

func apiError(code string) error { return &smithy.GenericAPIError{Code: code, Message: "as IAM says"} }

func (f *fakeIAM) role(name *string) (*fakeRole, error) {
	if r := f.roles[*name]; r != nil {
		return r, nil
	}
	return nil, apiError("NoSuchEntity")
}

func (f *fakeIAM) GetRole(_ context.Context, in *iam.GetRoleInput, _ ...func(*iam.Options)) (*iam.GetRoleOutput, error) {
	r, err := f.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.GetRoleOutput{Role: &types.Role{
		Arn: aws.String("arn:aws:iam::1:role/" + *in.RoleName), AssumeRolePolicyDocument: aws.String(url.PathEscape(r.trust)), Tags: r.tags,
	}}, nil
}

func (f *fakeIAM) ListRoles(_ context.Context, in *iam.ListRolesInput, _ ...func(*iam.Options)) (*iam.ListRolesOutput, error) {
	out := &iam.ListRolesOutput{}
	for name, r := range f.roles {
		if strings.HasPrefix(r.path, aws.ToString(in.PathPrefix)) {
			out.Roles = append(out.Roles, types.Role{RoleName: aws.String(name), Arn: aws.String("arn:aws:iam::1:role" + r.path + name)})
		}
	}
	return out, nil
}

func (f *fakeIAM) CreateRole(_ context.Context, in *iam.CreateRoleInput, _ ...func(*iam.Options)) (*iam.CreateRoleOutput, error) {
	f.calls = append(f.calls, "CreateRole")
	if f.roles[*in.RoleName] != nil {
		return nil, apiError("EntityAlreadyExists")
	}
	f.roles[*in.RoleName] = &fakeRole{trust: *in.AssumeRolePolicyDocument, tags: in.Tags, inline: map[string]string{}}
	if f.lose { // what the SDK's own retry would get
		f.lose = false
		return nil, apiError("EntityAlreadyExists")
	}
	return &iam.CreateRoleOutput{Role: &types.Role{Arn: aws.String("arn:aws:iam::1:role/" + *in.RoleName)}}, nil
}

func (f *fakeIAM) UpdateAssumeRolePolicy(_ context.Context, in *iam.UpdateAssumeRolePolicyInput, _ ...func(*iam.Options)) (*iam.UpdateAssumeRolePolicyOutput, error) {
	f.calls = append(f.calls, "UpdateAssumeRolePolicy")
	f.roles[*in.RoleName].trust = *in.PolicyDocument
	return &iam.UpdateAssumeRolePolicyOutput{}, nil
}

func (f *fakeIAM) TagRole(_ context.Context, in *iam.TagRoleInput, _ ...func(*iam.Options)) (*iam.TagRoleOutput, error) {
	f.calls = append(f.calls, "TagRole")
	f.roles[*in.RoleName].tags = append(f.roles[*in.RoleName].tags, in.Tags...)
	return &iam.TagRoleOutput{}, nil
}

// ListAttachedRolePolicies answers in pages of one.
func (f *fakeIAM) ListAttachedRolePolicies(_ context.Context, in *iam.ListAttachedRolePoliciesInput, _ ...func(*iam.Options)) (*iam.ListAttachedRolePoliciesOutput, error) {
	r, err := f.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	at := 0
	if in.Marker != nil {
		at = slices.Index(r.attached, *in.Marker)
	}
	out := &iam.ListAttachedRolePoliciesOutput{}
	if at < len(r.attached) {
		out.AttachedPolicies = []types.AttachedPolicy{{PolicyArn: &r.attached[at]}}
	}
	if at+1 < len(r.attached) {
		out.IsTruncated, out.Marker = true, &r.attached[at+1]
	}
	return out, nil
}

func (f *fakeIAM) AttachRolePolicy(_ context.Context, in *iam.AttachRolePolicyInput, _ ...func(*iam.Options)) (*iam.AttachRolePolicyOutput, error) {
	f.calls = append(f.calls, "AttachRolePolicy")
	f.roles[*in.RoleName].attached = append(f.roles[*in.RoleName].attached, *in.PolicyArn)
	return &iam.AttachRolePolicyOutput{}, nil
}

func (f *fakeIAM) DetachRolePolicy(_ context.Context, in *iam.DetachRolePolicyInput, _ ...func(*iam.Options)) (*iam.DetachRolePolicyOutput, error) {
	f.calls = append(f.calls, "DetachRolePolicy")
	r := f.roles[*in.RoleName]
	r.attached = slices.DeleteFunc(slices.Clone(r.attached), func(a string) bool { return a == *in.PolicyArn })
	return &iam.DetachRolePolicyOutput{}, nil
}

func (f *fakeIAM) ListRolePolicies(_ context.Context, in *iam.ListRolePoliciesInput, _ ...func(*iam.Options)) (*iam.ListRolePoliciesOutput, error) {
	r, err := f.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &iam.ListRolePoliciesOutput{}
	out.PolicyNames = append(out.PolicyNames, slices.Sorted(maps.Keys(r.inline))...)
	return out, nil
}

func (f *fakeIAM) GetRolePolicy(_ context.Context, in *iam.GetRolePolicyInput, _ ...func(*iam.Options)) (*iam.GetRolePolicyOutput, error) {
	return &iam.GetRolePolicyOutput{PolicyDocument: aws.String(url.PathEscape(f.roles[*in.RoleName].inline[*in.PolicyName]))}, nil
}

func (f *fakeIAM) PutRolePolicy(_ context.Context, in *iam.PutRolePolicyInput, _ ...func(*iam.Options)) (*iam.PutRolePolicyOutput, error) {
	f.calls = append(f.calls, "PutRolePolicy")
	f.roles[*in.RoleName].inline[*in.PolicyName] = *in.PolicyDocument
	return &iam.PutRolePolicyOutput{}, nil
}

func (f *fakeIAM) DeleteRolePolicy(_ context.Context, in *iam.DeleteRolePolicyInput, _ ...func(*iam.Options)) (*iam.DeleteRolePolicyOutput, error) {
	f.calls = append(f.calls, "DeleteRolePolicy")
	delete(f.roles[*in.RoleName].inline, *in.PolicyName)
	return &iam.DeleteRolePolicyOutput{}, nil
}

func (f *fakeIAM) ListInstanceProfilesForRole(_ context.Context, in *iam.ListInstanceProfilesForRoleInput, _ ...func(*iam.Options)) (*iam.ListInstanceProfilesForRoleOutput, error) {
	out := &iam.ListInstanceProfilesForRoleOutput{}
	for _, name := range f.roles[*in.RoleName].profiles {
		out.InstanceProfiles = append(out.InstanceProfiles, types.InstanceProfile{InstanceProfileName: &name})
	}
	return out, nil
}

func (f *fakeIAM) RemoveRoleFromInstanceProfile(_ context.Context, in *iam.RemoveRoleFromInstanceProfileInput, _ ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error) {
	f.calls = append(f.calls, "RemoveRoleFromInstanceProfile")
	f.roles[*in.RoleName].profiles = nil
	return &iam.RemoveRoleFromInstanceProfileOutput{}, nil
}

func (f *fakeIAM) DeleteRole(_ context.Context, in *iam.DeleteRoleInput, _ ...func(*iam.Options)) (*iam.DeleteRoleOutput, error) {
	f.calls = append(f.calls, "DeleteRole")
	r, err := f.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	if len(r.attached)+len(r.inline)+len(r.profiles) > 0 {
		return nil, apiError("DeleteConflict")
	}
	delete(f.roles, *in.RoleName)
	return &iam.DeleteRoleOutput{}, nil
}

func (f *fakeIAM) CreateServiceLinkedRole(_ context.Context, in *iam.CreateServiceLinkedRoleInput, _ ...func(*iam.Options)) (*iam.CreateServiceLinkedRoleOutput, error) {
	f.calls = append(f.calls, "CreateServiceLinkedRole")
	const name = "AWSServiceRoleForEC2Spot"
	f.roles[name] = &fakeRole{path: "/aws-service-role/" + *in.AWSServiceName + "/"}
	return &iam.CreateServiceLinkedRoleOutput{Role: &types.Role{Arn: aws.String("arn:aws:iam::1:role/" + name)}}, nil
}

func blueprint(name string) *blueprints.Blueprint {
	return &blueprints.Blueprint{Metadata: blueprints.Metadata{Name: name, Region: "ap-northeast-2"}}
}

var owner = cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}}

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
func converge(t *testing.T, r engine.Resource) {
	t.Helper()
	observe(t, r)
	if err := r.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if obs := observe(t, r); !obs.Exists || len(obs.Changes) > 0 {
		t.Errorf("after Apply: %+v", obs)
	}
}

func TestRoles(t *testing.T) {
	b := blueprint("demo")
	for _, spec := range []RoleSpec{ClusterRole(b), NodeRole(b), EBSCSIRole(b), AutoscalerRole(b), KarpenterRole(b, "demo-karpenter")} {
		t.Run(spec.ID, func(t *testing.T) {
			f := &fakeIAM{roles: map[string]*fakeRole{}}
			r := NewRole(f, owner, spec)
			if obs := observe(t, r); obs.Exists || r.ARN() != "" {
				t.Error("exists before it is made")
			}
			converge(t, r)
			if r.ARN() != "arn:aws:iam::1:role/"+spec.Name || !strings.HasPrefix(spec.Name, "demo-ap-northeast-2-") {
				t.Errorf("ARN %s", r.ARN())
			}
			calls := len(f.calls)
			if err := r.Apply(t.Context(), quiet); err != nil || len(f.calls) != calls {
				t.Errorf("a second Apply made the calls %v (%v)", f.calls[calls:], err)
			}
			if slices.Contains(f.calls, "TagRole") {
				t.Error("tags were not set in the create call")
			}
			f.roles[spec.Name].profiles = []string{"eks-1"}
			if err := r.Delete(t.Context(), quiet); err != nil || len(f.roles) > 0 {
				t.Errorf("Delete: %v, left %v", err, f.roles)
			}
			if err := r.Delete(t.Context(), quiet); err != nil {
				t.Errorf("Delete of what is gone: %v", err)
			}
		})
	}
}

func TestDrift(t *testing.T) {
	b := blueprint("demo")
	spec := AutoscalerRole(b)
	spec.ManagedPolicies = []string{"A", "B"}
	for _, test := range []struct {
		name  string
		drift func(*fakeRole)
		field string
	}{
		{"trust", func(r *fakeRole) { r.trust = `{"Version":"2012-10-17","Statement":[]}` }, "trust"},
		{"policy gone", func(r *fakeRole) { r.attached = r.attached[:1] }, "managedPolicies"},
		{"policy too many", func(r *fakeRole) { r.attached = append(r.attached, "arn:aws:iam::aws:policy/AdministratorAccess") }, "managedPolicies"},
		{"inline changed", func(r *fakeRole) { r.inline["cluster-autoscaler"] = `{}` }, "policies.cluster-autoscaler"},
		{"inline too many", func(r *fakeRole) { r.inline["more"] = `{}` }, "policies.more"},
		{"tag", func(r *fakeRole) {
			r.tags = slices.DeleteFunc(r.tags, func(t types.Tag) bool { return *t.Key == "team" })
		}, "metadata.tags.team"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fakeIAM{roles: map[string]*fakeRole{}}
			r := NewRole(f, owner, spec)
			converge(t, r)
			test.drift(f.roles[spec.Name])
			obs := observe(t, r)
			if len(obs.Changes) != 1 || obs.Changes[0].Field != test.field || obs.Changes[0].Policy != engine.PolicyInPlace {
				t.Errorf("changes %+v", obs.Changes)
			}
			converge(t, r)
		})
	}
}

func TestLostReply(t *testing.T) {
	f := &fakeIAM{roles: map[string]*fakeRole{}, lose: true}
	converge(t, NewRole(f, owner, NodeRole(blueprint("demo"))))
}

func TestForeignRoleIsLeftAlone(t *testing.T) {
	spec := NodeRole(blueprint("demo"))
	f := &fakeIAM{roles: map[string]*fakeRole{spec.Name: {trust: "{}"}}}
	obs := observe(t, NewRole(f, owner, spec))
	if obs.Keep == "" || len(obs.Changes) != 1 || obs.Changes[0].Policy != engine.PolicyRefused {
		t.Errorf("%+v", obs)
	}
}

func TestServiceLinkedRole(t *testing.T) {
	f := &fakeIAM{roles: map[string]*fakeRole{}}
	r := NewServiceLinkedRole(f, "spot.amazonaws.com")
	converge(t, r)
	if obs := observe(t, r); obs.Keep == "" || obs.Detail != "AWSServiceRoleForEC2Spot" {
		t.Errorf("%+v", obs)
	}
}

func TestSameDocument(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{`{"Action":"a"}`, `{"Action":["a"]}`, true},
		{`{"Action":["a","b"]}`, `{ "Action": ["b","a"] }`, true},
		{`{"Action":["a","b"]}`, `{"Action":["a"]}`, false},
		{`{"Effect":"Allow"}`, `{"Effect":"Deny"}`, false},
	} {
		if got := sameDocument(test.a, test.b); got != test.want {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}

func TestRoleNames(t *testing.T) {
	long := blueprint(strings.Repeat("x", 80))
	a, b := ClusterRole(long).Name, AutoscalerRole(long).Name
	if len(a) > maxRoleName || len(b) > maxRoleName || a == b || !strings.HasSuffix(b, "-cluster-autoscaler") {
		t.Errorf("names %s and %s", a, b)
	}
}

func TestAutoscalerMayScaleOnlyItsOwnGroups(t *testing.T) {
	text := AutoscalerRole(blueprint("demo")).Inline["cluster-autoscaler"].JSON()
	var d Document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Statement {
		if slices.Contains(s.Action, "autoscaling:SetDesiredCapacity") && s.Condition["StringEquals"]["aws:ResourceTag/k8s.io/cluster-autoscaler/demo"] != "owned" {
			t.Errorf("statement %+v", s)
		}
	}
}

func TestRemovedRole(t *testing.T) {
	api := &fakeIAM{roles: map[string]*fakeRole{}}
	spec := AutoscalerRole(blueprint("demo"))
	role := NewRemovedRole(api, owner, spec)
	if obs := observe(t, role); obs.Exists || len(obs.Changes) > 0 || !role.Unwanted() {
		t.Errorf("there is none: %+v", obs)
	}
	if err := NewRole(api, owner, spec).Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if obs := observe(t, role); !obs.Exists || len(obs.Changes) > 0 || obs.Detail != spec.Name {
		t.Errorf("the cluster's: %+v", obs)
	}
	if err := role.Delete(t.Context(), quiet); err != nil || len(api.roles) > 0 {
		t.Errorf("Delete: %v, left %v", err, api.roles)
	}
	api.roles[spec.Name] = &fakeRole{inline: map[string]string{}}
	if obs := observe(t, role); obs.Exists {
		t.Errorf("somebody else's: %+v", obs)
	}
}
