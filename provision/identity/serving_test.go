package identity

import (
	"slices"
	"strings"
	"testing"

	"aicluster/blueprints"
)

func TestServingRoleReadsItsModelOnly(t *testing.T) {
	b := blueprint("demo")
	b.Models = &blueprints.Models{Bucket: "weights"}
	spec := ServingRole(b, blueprints.Service{Name: "chat", Model: "Llama-3.1-8B"})
	if spec.ID != "role/serving-chat" || spec.Name != "demo-ap-northeast-2-serving-chat" || len(spec.ManagedPolicies) > 0 {
		t.Errorf("role %+v", spec)
	}
	list, read := spec.Inline["model"].Statement[0], spec.Inline["model"].Statement[1]
	if !slices.Equal(list.Action, []string{"s3:ListBucket"}) || !slices.Equal(list.Resource, []string{"arn:aws:s3:::weights"}) ||
		list.Condition["StringLike"]["s3:prefix"] != "Llama-3.1-8B/*" {
		t.Errorf("list %+v", list)
	}
	if !slices.Equal(read.Action, []string{"s3:GetObject"}) || !slices.Equal(read.Resource, []string{"arn:aws:s3:::weights/Llama-3.1-8B/*"}) {
		t.Errorf("read %+v", read)
	}
}

// TestServingRoleNames has names of every length: all are IAM's, and found again
// when their service is in the blueprint no more.
func TestServingRoleNames(t *testing.T) {
	for _, cluster := range []string{"demo", "ai-serving", strings.Repeat("long-serving-", 7)} {
		for _, service := range []string{"chat", "a-serving-b", strings.Repeat("x", 50)} {
			b := blueprint(cluster)
			b.Models = &blueprints.Models{Bucket: "weights"}
			b.Serving = []blueprints.Service{{Name: service, Model: "m"}}
			role := ServingRole(b, b.Serving[0])
			if len(role.Name) > maxRoleName {
				t.Errorf("%s has %d characters", role.Name, len(role.Name))
			}
			api := &fakeIAM{roles: map[string]*fakeRole{role.Name: {}, roleName(b, "nodes"): {}, "else-ap-northeast-2-serving-chat": {}}}
			if found, err := DiscoverServing(t.Context(), api, b); err != nil || len(found) > 0 {
				t.Errorf("%s: found %v %v", role.Name, found, err)
			}
			b.Serving = nil
			found, err := DiscoverServing(t.Context(), api, b)
			if err != nil || len(found) != 1 || RemovedServingRole(b, found[0]).Name != role.Name {
				t.Errorf("%s: found %v %v", role.Name, found, err)
			}
		}
	}
}
