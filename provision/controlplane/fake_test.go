package controlplane

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// fakeEKS is one cluster that takes its time. A call that it does not know panics.
type fakeEKS struct {
	API
	calls  []string
	tokens []string

	cluster  *types.Cluster
	since    time.Time // of the cluster's status
	takes    time.Duration
	fate     types.ClusterStatus // what a creation ends in; empty is ACTIVE
	issue    *types.ClusterIssue // while it is made
	errs     map[string][]error  // operation -> errors of the next calls
	update   *types.Update
	after    func() // what the update does
	updateBy time.Time
	groups   []string
	entries  map[string]*types.AccessEntry
	policies map[string][]types.AssociatedAccessPolicy
}

func newFake() *fakeEKS {
	return &fakeEKS{takes: 9 * time.Minute, errs: map[string][]error{}, entries: map[string]*types.AccessEntry{}, policies: map[string][]types.AssociatedAccessPolicy{}}
}

func (f *fakeEKS) call(op string) error {
	f.calls = append(f.calls, op)
	if list := f.errs[op]; len(list) > 0 {
		f.errs[op] = list[1:]
		return list[0]
	}
	return nil
}

func notFound() error {
	return &types.ResourceNotFoundException{Message: aws.String("No cluster found for name: demo.")}
}

func (f *fakeEKS) DescribeCluster(context.Context, *eks.DescribeClusterInput, ...func(*eks.Options)) (*eks.DescribeClusterOutput, error) {
	if f.cluster != nil && time.Since(f.since) >= f.takes {
		switch f.cluster.Status {
		case types.ClusterStatusCreating:
			f.cluster.Status = types.ClusterStatusActive
			if f.fate != "" {
				f.cluster.Status = f.fate
			}
			f.cluster.Endpoint = aws.String("https://demo.eks")
			f.cluster.CertificateAuthority = &types.Certificate{Data: aws.String(base64.StdEncoding.EncodeToString(clusterCA()))}
		case types.ClusterStatusDeleting:
			f.cluster = nil
		}
	}
	if f.cluster == nil {
		return nil, notFound()
	}
	c := *f.cluster
	if f.issue != nil && c.Status != types.ClusterStatusActive {
		c.Health = &types.ClusterHealth{Issues: []types.ClusterIssue{*f.issue}}
	}
	return &eks.DescribeClusterOutput{Cluster: &c}, nil
}

func (f *fakeEKS) DescribeClusterVersions(context.Context, *eks.DescribeClusterVersionsInput, ...func(*eks.Options)) (*eks.DescribeClusterVersionsOutput, error) {
	return &eks.DescribeClusterVersionsOutput{ClusterVersions: []types.ClusterVersionInformation{
		{ClusterVersion: aws.String("1.34"), VersionStatus: types.VersionStatusStandardSupport},
		{ClusterVersion: aws.String("1.36"), VersionStatus: types.VersionStatusStandardSupport},
		{ClusterVersion: aws.String("1.35"), VersionStatus: types.VersionStatusStandardSupport, DefaultVersion: true},
		{ClusterVersion: aws.String("1.30"), VersionStatus: types.VersionStatusUnsupported},
	}}, nil
}

func (f *fakeEKS) CreateCluster(_ context.Context, in *eks.CreateClusterInput, _ ...func(*eks.Options)) (*eks.CreateClusterOutput, error) {
	f.tokens = append(f.tokens, *in.ClientRequestToken)
	if err := f.call("CreateCluster"); err != nil {
		return nil, err
	}
	if f.cluster != nil {
		return nil, &types.ResourceInUseException{Message: aws.String("Cluster already exists with name: demo")}
	}
	f.since = time.Now()
	f.cluster = &types.Cluster{
		Name: in.Name, Arn: aws.String("arn:aws:eks:r:1:cluster/demo"), Version: in.Version, Status: types.ClusterStatusCreating, Tags: in.Tags,
		Logging: in.Logging, DeletionProtection: in.DeletionProtection, RoleArn: in.RoleArn,
		UpgradePolicy: &types.UpgradePolicyResponse{SupportType: types.SupportTypeExtended},
		ResourcesVpcConfig: &types.VpcConfigResponse{
			SubnetIds: in.ResourcesVpcConfig.SubnetIds, EndpointPublicAccess: *in.ResourcesVpcConfig.EndpointPublicAccess,
			EndpointPrivateAccess: *in.ResourcesVpcConfig.EndpointPrivateAccess, PublicAccessCidrs: in.ResourcesVpcConfig.PublicAccessCidrs,
		},
	}
	if in.UpgradePolicy != nil {
		f.cluster.UpgradePolicy.SupportType = in.UpgradePolicy.SupportType
	}
	return &eks.CreateClusterOutput{Cluster: f.cluster}, nil
}

func (f *fakeEKS) DeleteCluster(context.Context, *eks.DeleteClusterInput, ...func(*eks.Options)) (*eks.DeleteClusterOutput, error) {
	if err := f.call("DeleteCluster"); err != nil {
		return nil, err
	}
	switch {
	case len(f.groups) > 0:
		return nil, &types.ResourceInUseException{Message: aws.String("Cluster has nodegroups attached")}
	case f.cluster.Status == types.ClusterStatusCreating:
		return nil, &types.ResourceInUseException{Message: aws.String("Cluster is being created")}
	case aws.ToBool(f.cluster.DeletionProtection) && f.cluster.Status == types.ClusterStatusActive:
		return nil, &types.InvalidRequestException{Message: aws.String("deletion protection is on")}
	}
	f.cluster.Status, f.since = types.ClusterStatusDeleting, time.Now()
	return &eks.DeleteClusterOutput{}, nil
}

func (f *fakeEKS) UpdateClusterConfig(_ context.Context, in *eks.UpdateClusterConfigInput, _ ...func(*eks.Options)) (*eks.UpdateClusterConfigOutput, error) {
	if err := f.call("UpdateClusterConfig"); err != nil {
		return nil, err
	}
	kinds := 0
	for _, set := range []bool{in.Logging != nil, in.ResourcesVpcConfig != nil, in.UpgradePolicy != nil, in.DeletionProtection != nil} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		return nil, &types.InvalidParameterException{Message: aws.String("Only one type of update can be allowed.")}
	}
	return &eks.UpdateClusterConfigOutput{Update: f.start(func() {
		switch {
		case in.Logging != nil:
			f.cluster.Logging = in.Logging
		case in.UpgradePolicy != nil:
			f.cluster.UpgradePolicy.SupportType = in.UpgradePolicy.SupportType
		case in.DeletionProtection != nil:
			f.cluster.DeletionProtection = in.DeletionProtection
		default:
			v := f.cluster.ResourcesVpcConfig
			v.EndpointPublicAccess, v.EndpointPrivateAccess = *in.ResourcesVpcConfig.EndpointPublicAccess, *in.ResourcesVpcConfig.EndpointPrivateAccess
			v.PublicAccessCidrs = in.ResourcesVpcConfig.PublicAccessCidrs
		}
	})}, nil
}

func (f *fakeEKS) UpdateClusterVersion(_ context.Context, in *eks.UpdateClusterVersionInput, _ ...func(*eks.Options)) (*eks.UpdateClusterVersionOutput, error) {
	if err := f.call("UpdateClusterVersion"); err != nil {
		return nil, err
	}
	return &eks.UpdateClusterVersionOutput{Update: f.start(func() { f.cluster.Version = in.Version })}, nil
}

// start begins an update that takes five minutes.
func (f *fakeEKS) start(after func()) *types.Update {
	f.update = &types.Update{Id: aws.String("u-1"), Status: types.UpdateStatusInProgress}
	f.updateBy, f.after = time.Now().Add(5*time.Minute), after
	f.cluster.Status = types.ClusterStatusUpdating
	return f.update
}

func (f *fakeEKS) DescribeUpdate(context.Context, *eks.DescribeUpdateInput, ...func(*eks.Options)) (*eks.DescribeUpdateOutput, error) {
	if f.update.Status == types.UpdateStatusInProgress && !time.Now().Before(f.updateBy) {
		f.after()
		f.update.Status, f.cluster.Status = types.UpdateStatusSuccessful, types.ClusterStatusActive
	}
	return &eks.DescribeUpdateOutput{Update: f.update}, nil
}

func (f *fakeEKS) TagResource(_ context.Context, in *eks.TagResourceInput, _ ...func(*eks.Options)) (*eks.TagResourceOutput, error) {
	err := f.call("TagResource")
	for k, v := range in.Tags {
		f.cluster.Tags[k] = v
	}
	return &eks.TagResourceOutput{}, err
}

func (f *fakeEKS) ListNodegroups(context.Context, *eks.ListNodegroupsInput, ...func(*eks.Options)) (*eks.ListNodegroupsOutput, error) {
	return &eks.ListNodegroupsOutput{Nodegroups: f.groups}, nil
}

// DescribeNodegroup answers that a group is being deleted when its name says so;
// it is gone at the next look.
func (f *fakeEKS) DescribeNodegroup(_ context.Context, in *eks.DescribeNodegroupInput, _ ...func(*eks.Options)) (*eks.DescribeNodegroupOutput, error) {
	status := types.NodegroupStatusActive
	if strings.HasPrefix(*in.NodegroupName, "leaving") {
		status, f.groups = types.NodegroupStatusDeleting, nil
	}
	return &eks.DescribeNodegroupOutput{Nodegroup: &types.Nodegroup{Status: status}}, nil
}

func (f *fakeEKS) ListFargateProfiles(context.Context, *eks.ListFargateProfilesInput, ...func(*eks.Options)) (*eks.ListFargateProfilesOutput, error) {
	return &eks.ListFargateProfilesOutput{}, nil
}

func (f *fakeEKS) ListAccessEntries(context.Context, *eks.ListAccessEntriesInput, ...func(*eks.Options)) (*eks.ListAccessEntriesOutput, error) {
	if f.cluster == nil {
		return nil, notFound()
	}
	out := &eks.ListAccessEntriesOutput{}
	for arn := range f.entries {
		out.AccessEntries = append(out.AccessEntries, arn)
	}
	return out, nil
}

func (f *fakeEKS) DescribeAccessEntry(_ context.Context, in *eks.DescribeAccessEntryInput, _ ...func(*eks.Options)) (*eks.DescribeAccessEntryOutput, error) {
	if e := f.entries[*in.PrincipalArn]; e != nil {
		return &eks.DescribeAccessEntryOutput{AccessEntry: e}, nil
	}
	return nil, notFound()
}

func (f *fakeEKS) CreateAccessEntry(_ context.Context, in *eks.CreateAccessEntryInput, _ ...func(*eks.Options)) (*eks.CreateAccessEntryOutput, error) {
	if err := f.call("CreateAccessEntry"); err != nil {
		return nil, err
	}
	f.entries[*in.PrincipalArn] = &types.AccessEntry{PrincipalArn: in.PrincipalArn, Tags: in.Tags}
	return &eks.CreateAccessEntryOutput{}, nil
}

func (f *fakeEKS) DeleteAccessEntry(_ context.Context, in *eks.DeleteAccessEntryInput, _ ...func(*eks.Options)) (*eks.DeleteAccessEntryOutput, error) {
	err := f.call("DeleteAccessEntry")
	delete(f.entries, *in.PrincipalArn)
	return &eks.DeleteAccessEntryOutput{}, err
}

func (f *fakeEKS) ListAssociatedAccessPolicies(_ context.Context, in *eks.ListAssociatedAccessPoliciesInput, _ ...func(*eks.Options)) (*eks.ListAssociatedAccessPoliciesOutput, error) {
	return &eks.ListAssociatedAccessPoliciesOutput{AssociatedAccessPolicies: f.policies[*in.PrincipalArn]}, nil
}

func (f *fakeEKS) AssociateAccessPolicy(_ context.Context, in *eks.AssociateAccessPolicyInput, _ ...func(*eks.Options)) (*eks.AssociateAccessPolicyOutput, error) {
	err := f.call("AssociateAccessPolicy")
	f.policies[*in.PrincipalArn] = append(f.policies[*in.PrincipalArn], types.AssociatedAccessPolicy{PolicyArn: in.PolicyArn, AccessScope: in.AccessScope})
	return &eks.AssociateAccessPolicyOutput{}, err
}

// fakeLogs is CloudWatch Logs with at most one group.
type fakeLogs struct {
	LogsAPI
	exists  bool
	created time.Time
	tags    map[string]string
	calls   []string
	reads   int
}

const groupARN = "arn:aws:logs:r:1:log-group:/aws/eks/demo/cluster"

func (f *fakeLogs) DescribeLogGroups(context.Context, *cloudwatchlogs.DescribeLogGroupsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	f.reads++
	out := &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: []logstypes.LogGroup{{LogGroupName: aws.String("/aws/eks/demo/cluster-of-another")}}}
	if f.exists {
		out.LogGroups = append(out.LogGroups, logstypes.LogGroup{LogGroupName: aws.String("/aws/eks/demo/cluster"), LogGroupArn: aws.String(groupARN), CreationTime: aws.Int64(f.created.UnixMilli())})
	}
	return out, nil
}

func (f *fakeLogs) ListTagsForResource(context.Context, *cloudwatchlogs.ListTagsForResourceInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.ListTagsForResourceOutput, error) {
	return &cloudwatchlogs.ListTagsForResourceOutput{Tags: f.tags}, nil
}

func (f *fakeLogs) CreateLogGroup(_ context.Context, in *cloudwatchlogs.CreateLogGroupInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogGroupOutput, error) {
	f.calls = append(f.calls, "CreateLogGroup")
	f.exists, f.tags = true, in.Tags
	return &cloudwatchlogs.CreateLogGroupOutput{}, nil
}

func (f *fakeLogs) DeleteLogGroup(context.Context, *cloudwatchlogs.DeleteLogGroupInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteLogGroupOutput, error) {
	f.calls = append(f.calls, "DeleteLogGroup")
	f.exists, f.tags = false, nil
	return &cloudwatchlogs.DeleteLogGroupOutput{}, nil
}

type ground struct{}

func (ground) ARN() string                { return "arn:aws:iam::1:role/demo" }
func (ground) ClusterSubnetIDs() []string { return []string{"subnet-1", "subnet-2"} }

var owner = cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}}

func blueprint() *blueprints.Blueprint {
	return &blueprints.Blueprint{
		Metadata: blueprints.Metadata{Name: "demo", Region: "r"},
		Cluster: blueprints.Cluster{
			Version: "1.35", SupportType: "standard", DeletionProtection: true, Logging: []string{"audit", "api"},
			Endpoint: blueprints.Endpoint{Public: aws.Bool(true), Private: aws.Bool(true)},
		},
	}
}

func unprotected() *blueprints.Blueprint {
	b := blueprint()
	b.Cluster.DeletionProtection = false
	return b
}

func noTransport(string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return next }
}

func newCluster(f *fakeEKS, b *blueprints.Blueprint) *Cluster {
	return New(f, owner, b, ground{}, ground{}, noTransport)
}

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

func (f *fakeEKS) count(op string) int {
	n := 0
	for _, c := range f.calls {
		if c == op {
			n++
		}
	}
	return n
}

// clusterCA is a certificate as EKS gives one, in PEM.
func clusterCA() []byte {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, IsCA: true}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
