package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aicluster/addons"
	"aicluster/addons/gpu"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

var update = flag.Bool("update", false, "rewrite golden files")

const testAccount = "111122223333"

// policyBlueprints are the blueprints with a golden policy.
func policyBlueprints() map[string]string {
	return map[string]string{
		"seed":         "../../blueprints/ai-serving.yaml",
		"minimal":      "testdata/policy/minimal.yaml",
		"existing-vpc": "testdata/policy/existing-vpc.yaml",
		"whole":        "testdata/policy/whole.yaml",
	}
}

func policyOf(t *testing.T, name string, readOnly bool) cloud.Policy {
	t.Helper()
	b, err := blueprints.Load(policyBlueprints()[name])
	if err != nil {
		t.Fatal(err)
	}
	p, err := leastPolicy(t.Context(), b, testAccount, readOnly)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLeastPolicy(t *testing.T) {
	for name := range policyBlueprints() {
		golden(t, filepath.Join("testdata/policy", name+".json"), indented(t, policyOf(t, name, false)))
	}
	golden(t, "testdata/policy/seed-read-only.json", indented(t, policyOf(t, "seed", true)))
}

// The guide to permissions shows the seed's policy.
func TestGuideShowsTheSeedsPolicy(t *testing.T) {
	const path = "../../docs/iam.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```json\n(.*?)```")
	at := block.FindSubmatchIndex(page)
	if at == nil {
		t.Fatalf("%s has no policy", path)
	}
	want := indented(t, policyOf(t, "seed", false))
	if bytes.Equal(page[at[2]:at[3]], want) {
		return
	}
	if !*update {
		t.Fatalf("%s does not show what aicluster iam-policy prints for the seed; go test ./cmd/aicluster -update rewrites it", path)
	}
	if err := os.WriteFile(path, slices.Concat(page[:at[2]], want, page[at[3]:]), 0o644); err != nil {
		t.Fatal(err)
	}
}

func indented(t *testing.T, p cloud.Policy) []byte {
	t.Helper()
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the policy is not %s; go test ./cmd/aicluster -update rewrites it. It is:\n%s", path, got)
	}
}

// A policy has nothing for what the blueprint does not have.
func TestLeastPolicyIsOfItsBlueprint(t *testing.T) {
	for _, tc := range []struct {
		blueprint       string
		has, doesNot    []string
		whichStatements []string // that are not there
	}{
		{
			blueprint: "seed",
			has:       []string{"ec2:CreateVpc", "ec2:CreateNatGateway", "s3:PutObject", "spot.amazonaws.com", "iam:PutRolePolicy", "AmazonEBSCSIDriverPolicyV2"},
			doesNot:   []string{"logs:CreateLogGroup", "eks:CreateAccessEntry"},
		},
		{
			blueprint: "minimal",
			has:       []string{"ec2:CreateVpc", "logs:DeleteLogGroup", "eks:DeletePodIdentityAssociation", "ec2:DeleteNatGateway", "arn:aws-us-gov:iam::aws:policy/AmazonEKSClusterPolicy", "s3:ListAllMyBuckets"},
			doesNot: []string{"ec2:CreateNatGateway", "logs:CreateLogGroup", "spot.amazonaws.com", "iam:PutRolePolicy", "s3:PutObject", "s3:CreateBucket",
				"eks:CreateAccessEntry", "eks:CreatePodIdentityAssociation", "pods.eks.amazonaws.com", "arn:aws:"},
			whichStatements: []string{"MakeModelsBucket", "SeedModels", "WriteRolePolicies", "MakeLogGroup"},
		},
		{
			blueprint: "existing-vpc",
			has:       []string{"logs:CreateLogGroup", "eks:CreateAccessEntry", "spot.amazonaws.com", "ec2:DescribeVpcs", "ec2:DeleteSecurityGroup"},
			doesNot:   []string{"ec2:CreateVpc", "ec2:DeleteVpc", "ec2:CreateSubnet", "ec2:DeleteSubnet", "ec2:CreateRoute", "ec2:AllocateAddress", "s3:PutObject"},
		},
		{
			blueprint: "whole",
			has:       []string{"logs:CreateLogGroup", "eks:CreateAccessEntry", "spot.amazonaws.com", "iam:PutRolePolicy", "s3:PutObject", "ec2:CreateVpc"},
		},
	} {
		t.Run(tc.blueprint, func(t *testing.T) {
			p := policyOf(t, tc.blueprint, false)
			text := string(indented(t, p))
			for _, s := range tc.has {
				if !strings.Contains(text, s) {
					t.Errorf("%s is missing", s)
				}
			}
			for _, s := range tc.doesNot {
				if strings.Contains(text, `"`+s) {
					t.Errorf("%s is there for nothing", s)
				}
			}
			for _, sid := range tc.whichStatements {
				if slices.ContainsFunc(p.Statement, func(s cloud.PolicyStatement) bool { return s.Sid == sid }) {
					t.Errorf("statement %s is there for nothing", sid)
				}
			}
			if size, err := p.Size(); err != nil || size > cloud.MaxPolicy {
				t.Errorf("%d characters, IAM takes %d (%v)", size, cloud.MaxPolicy, err)
			}
		})
	}
}

// Every resource says what it needs, but for those that Kubernetes alone serves.
func TestResourcesDeclarePermissions(t *testing.T) {
	b, err := blueprints.Load(policyBlueprints()["seed"])
	if err != nil {
		t.Fatal(err)
	}
	s := newBuilder(&cloud.Clients{Region: b.Metadata.Region}, b, stackOptions{})
	s.discovery = imagination{}
	st, err := s.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range st.graph.Resources() {
		switch r.(type) {
		case cloud.Permitted, *addons.Release, *addons.Workloads, *gpu.Check, *serving.Home, *serving.Service, *serving.Fill:
		default:
			t.Errorf("%s (%T) has no method Permissions: if it calls AWS, it needs one", r.ID(), r)
		}
	}
}
