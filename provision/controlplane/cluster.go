// Package controlplane makes the EKS control plane, says who may use it, and
// keeps its logs.
package controlplane

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"k8s.io/client-go/rest"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// API is what this package uses of EKS.
type API interface {
	eks.DescribeClusterAPIClient
	eks.DescribeClusterVersionsAPIClient
	eks.ListAccessEntriesAPIClient
	eks.ListAssociatedAccessPoliciesAPIClient
	eks.ListNodegroupsAPIClient
	eks.DescribeNodegroupAPIClient
	eks.ListFargateProfilesAPIClient
	CreateCluster(context.Context, *eks.CreateClusterInput, ...func(*eks.Options)) (*eks.CreateClusterOutput, error)
	DeleteCluster(context.Context, *eks.DeleteClusterInput, ...func(*eks.Options)) (*eks.DeleteClusterOutput, error)
	UpdateClusterConfig(context.Context, *eks.UpdateClusterConfigInput, ...func(*eks.Options)) (*eks.UpdateClusterConfigOutput, error)
	UpdateClusterVersion(context.Context, *eks.UpdateClusterVersionInput, ...func(*eks.Options)) (*eks.UpdateClusterVersionOutput, error)
	DescribeUpdate(context.Context, *eks.DescribeUpdateInput, ...func(*eks.Options)) (*eks.DescribeUpdateOutput, error)
	TagResource(context.Context, *eks.TagResourceInput, ...func(*eks.Options)) (*eks.TagResourceOutput, error)
	DescribeAccessEntry(context.Context, *eks.DescribeAccessEntryInput, ...func(*eks.Options)) (*eks.DescribeAccessEntryOutput, error)
	CreateAccessEntry(context.Context, *eks.CreateAccessEntryInput, ...func(*eks.Options)) (*eks.CreateAccessEntryOutput, error)
	DeleteAccessEntry(context.Context, *eks.DeleteAccessEntryInput, ...func(*eks.Options)) (*eks.DeleteAccessEntryOutput, error)
	AssociateAccessPolicy(context.Context, *eks.AssociateAccessPolicyInput, ...func(*eks.Options)) (*eks.AssociateAccessPolicyOutput, error)
}

// Role is the IAM role that the control plane acts as.
type Role interface{ ARN() string }

// Network is where the control plane puts its interfaces.
type Network interface{ ClusterSubnetIDs() []string }

// Transport wraps a Kubernetes transport so that its requests carry a token for
// the named cluster; [cloud.Clients.TokenTransport] is one.
type Transport func(cluster string) func(http.RoundTripper) http.RoundTripper

// Cluster is the EKS control plane.
type Cluster struct {
	api       API
	owner     cloud.Owner
	want      blueprints.Cluster
	role      Role
	network   Network
	transport Transport
	needs     []engine.Resource

	live *types.Cluster // nil while it does not exist
}

// New is the control plane of b: it acts as role and stands in network.
// Requests to its API server go through transport.
func New(api API, owner cloud.Owner, b *blueprints.Blueprint, role Role, network Network, transport Transport, needs ...engine.Resource) *Cluster {
	return &Cluster{api: api, owner: owner, want: b.Cluster, role: role, network: network, transport: transport, needs: needs}
}

// ID implements [engine.Resource].
func (c *Cluster) ID() string { return "cluster/" + c.owner.Cluster }

// Needs implements [engine.Resource].
func (c *Cluster) Needs() []engine.Resource { return c.needs }

// Name is the cluster's name in EKS.
func (c *Cluster) Name() string { return c.owner.Cluster }

// Exists tells whether the cluster was there when it was last looked at, in
// whatever state.
func (c *Cluster) Exists() bool { return c.live != nil }

// Ready tells whether the cluster takes calls: it exists and is neither being
// made nor deleted nor failed.
func (c *Cluster) Ready() bool {
	return c.live != nil && (c.live.Status == types.ClusterStatusActive || c.live.Status == types.ClusterStatusUpdating)
}

// Status is EKS's word for the cluster's state: "ACTIVE"; empty while it does not exist.
func (c *Cluster) Status() string {
	if c.live == nil {
		return ""
	}
	return string(c.live.Status)
}

// ARN is the cluster's ARN; empty while it does not exist.
func (c *Cluster) ARN() string {
	if c.live == nil {
		return ""
	}
	return aws.ToString(c.live.Arn)
}

// Endpoint is the URL of the API server; empty until the cluster is active.
func (c *Cluster) Endpoint() string {
	if c.live == nil {
		return ""
	}
	return aws.ToString(c.live.Endpoint)
}

// CA is the PEM bundle that the API server's certificate is signed by; empty
// until the cluster is active.
func (c *Cluster) CA() []byte {
	if c.live == nil || c.live.CertificateAuthority == nil {
		return nil
	}
	pem, err := base64.StdEncoding.DecodeString(aws.ToString(c.live.CertificateAuthority.Data))
	if err != nil {
		return nil
	}
	return pem
}

// Version is the Kubernetes minor version that runs: "1.35"; empty while the
// cluster does not exist.
func (c *Cluster) Version() string {
	if c.live == nil {
		return ""
	}
	return aws.ToString(c.live.Version)
}

// OIDCIssuer is the URL that the cluster's service account tokens name as their issuer.
func (c *Cluster) OIDCIssuer() string {
	if c.live == nil || c.live.Identity == nil || c.live.Identity.Oidc == nil {
		return ""
	}
	return aws.ToString(c.live.Identity.Oidc.Issuer)
}

// SecurityGroupID is the security group that EKS made for control plane and nodes.
func (c *Cluster) SecurityGroupID() string {
	if c.live == nil || c.live.ResourcesVpcConfig == nil {
		return ""
	}
	return aws.ToString(c.live.ResourcesVpcConfig.ClusterSecurityGroupId)
}

// VPCID is the VPC that the cluster stands in; it tells a teardown without a
// blueprint where to look.
func (c *Cluster) VPCID() string {
	if c.live == nil || c.live.ResourcesVpcConfig == nil {
		return ""
	}
	return aws.ToString(c.live.ResourcesVpcConfig.VpcId)
}

// Client-side rate of requests to the API server. client-go's default of five a
// second makes Helm crawl; API priority and fairness guards the server.
const (
	clientQPS   = 50
	clientBurst = 100
)

// RESTConfig is how to reach the API server. It fails while the cluster is not
// active.
func (c *Cluster) RESTConfig() (*rest.Config, error) {
	if c.Endpoint() == "" || len(c.CA()) == 0 {
		return nil, cloud.Fail(c.ID(), "connecting", "the cluster has no API endpoint yet", "wait until it is active: 'aicluster up' does")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(c.CA()) {
		return nil, cloud.Fail(c.ID(), "connecting", "the certificate of its API is none: what answers as EKS has no Kubernetes behind it",
			"what runs on the cluster cannot be read, made or checked here; all else can")
	}
	return &rest.Config{
		Host:            c.Endpoint(),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.CA()},
		WrapTransport:   c.transport(c.Name()),
		QPS:             clientQPS,
		Burst:           clientBurst,
	}, nil
}

// read fills c.live.
func (c *Cluster) read(ctx context.Context) error {
	out, err := c.api.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String(c.Name())})
	if cloud.IsAbsent(err) {
		c.live = nil
		return nil
	}
	if err != nil {
		return err
	}
	c.live = out.Cluster
	return nil
}

// TargetVersion is the Kubernetes version that the cluster is to have: the
// blueprint's, or the live one if the blueprint leaves it open.
func (c *Cluster) TargetVersion() string {
	if c.want.Version != "" {
		return c.want.Version
	}
	return c.Version()
}

// LiveNetwork is where a cluster stands, for a teardown without its blueprint;
// the zero value if there is no such cluster.
func LiveNetwork(ctx context.Context, api API, cluster string) (blueprints.Network, error) {
	out, err := api.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &cluster})
	if cloud.IsNotFound(err) {
		return blueprints.Network{}, nil
	}
	if err != nil {
		return blueprints.Network{}, cloud.Wrap("cluster/"+cluster, "reading where it stands", err)
	}
	vpc := out.Cluster.ResourcesVpcConfig
	if vpc == nil {
		return blueprints.Network{}, nil
	}
	return blueprints.Network{VPCID: aws.ToString(vpc.VpcId), SubnetIDs: vpc.SubnetIds}, nil
}
