package eks_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ekssdk "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"
	stssdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/e2e/localcloud/autoscaling"
	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/eks"
	"aicluster/e2e/localcloud/elb"
	"aicluster/e2e/localcloud/elbv2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/logs"
	"aicluster/e2e/localcloud/sts"
	"aicluster/e2e/localcloud/wire"
)

// TestMain makes the test binary stand for the localcloud executable.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == kube.Command {
		if err := kube.RunChild(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(awstest.Main(m, "eks"))
}

const region = "ap-northeast-2"

// account is a local cloud with the services that clusters need.
type account struct {
	t       *testing.T
	eks     *ekssdk.Client
	ec2     *ec2sdk.Client
	url     string
	iam     *iamsdk.Client
	sts     *stssdk.Client
	service *eks.Service
	groups  *autoscaling.Service
	compute *ec2.Service
	logs    *logs.Service
	subnets []string
	roles   map[string]string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	c := clock.New(600)
	identities := iam.New(c)
	compute := ec2.New(c, identities)
	groups := autoscaling.New(c, compute, identities)
	key := wire.Key{ID: "AKIAEXAMPLE", Secret: "secret", Caller: wire.Caller{ARN: "arn:aws:iam::111122223333:user/tester", UserID: "AIDAEXAMPLE"}}
	stranger := wire.Key{ID: "STRANGER", Secret: "secret", Caller: wire.Caller{ARN: "arn:aws:sts::111122223333:assumed-role/stranger/session", UserID: "AROAEXAMPLE:session"}}
	w, err := wire.NewServer(wire.Options{Keys: []wire.Key{key, stranger}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	cfg := aws.Config{Region: region, BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, "")}
	groupsOfLogs := logs.New()
	groupsOfLogs.Register(w)
	service := eks.New(eks.Options{
		Clock: c, IAM: identities, EC2: compute, AutoScaling: groups, Dir: t.TempDir(), BaseURL: server.URL, Logs: groupsOfLogs,
		SDK: func(string) aws.Config { return cfg },
		RoleConfig: func(_, role, _ string) (aws.Config, error) {
			own := cfg.Copy()
			own.Credentials = credentials.NewStaticCredentialsProvider("key of "+role, "secret", "")
			return own, nil
		},
	})
	balancers, classic := elbv2.New(c, compute, identities), elb.New(c, compute, identities)
	balancers.Register(w)
	classic.Register(w)
	mux.Handle(eks.WebhookPath, service.Webhook())
	mux.Handle(eks.PodIdentityPath, service.PodIdentity())
	mux.Handle(eks.NetworkPath, service.Network())
	mux.Handle("/", w)
	identities.Register(w)
	compute.Register(w)
	groups.Register(w)
	service.Register(w)
	sts.New(identities).Register(w)
	a := &account{
		t: t, url: server.URL, eks: ekssdk.NewFromConfig(cfg), ec2: ec2sdk.NewFromConfig(cfg), iam: iamsdk.NewFromConfig(cfg), sts: stssdk.NewFromConfig(cfg),
		service: service, groups: groups, compute: compute, logs: groupsOfLogs, roles: map[string]string{},
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(service.Close(ctx), groups.Close(ctx)); err != nil {
			t.Error(err)
		}
		balancers.Close()
		classic.Close()
		compute.Close()
		server.Close()
	})
	a.network()
	a.role("cluster", "eks.amazonaws.com", "AmazonEKSClusterPolicy")
	a.role("node", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
	a.role("stranger", "lambda.amazonaws.com")
	return a
}

func must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func (a *account) network() {
	ctx := a.t.Context()
	vpc := *must(a.ec2.CreateVpc(ctx, &ec2sdk.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16")}))(a.t).Vpc.VpcId
	for i, zone := range []string{"a", "b"} {
		sn := must(a.ec2.CreateSubnet(ctx, &ec2sdk.CreateSubnetInput{
			VpcId: &vpc, AvailabilityZone: aws.String(region + zone), CidrBlock: aws.String(fmt.Sprintf("10.42.%d.0/24", i)),
		}))(a.t)
		a.subnets = append(a.subnets, *sn.Subnet.SubnetId)
	}
}

func (a *account) role(name, principal string, policies ...string) {
	ctx := a.t.Context()
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"sts:AssumeRole"}]}`, principal)
	a.roles[name] = *must(a.iam.CreateRole(ctx, &iamsdk.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}))(a.t).Role.Arn
	for _, p := range policies {
		must(a.iam.AttachRolePolicy(ctx, &iamsdk.AttachRolePolicyInput{RoleName: &name, PolicyArn: aws.String("arn:aws:iam::aws:policy/" + p)}))(a.t)
	}
}

func (a *account) clusterInput(name string) *ekssdk.CreateClusterInput {
	return &ekssdk.CreateClusterInput{
		Name: &name, RoleArn: aws.String(a.roles["cluster"]), Version: aws.String("1.35"), BootstrapSelfManagedAddons: aws.Bool(false),
		ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: a.subnets},
		AccessConfig:       &types.CreateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeApi, BootstrapClusterCreatorAdminPermissions: aws.Bool(true)},
		ClientRequestToken: aws.String("token-of-" + name),
	}
}

// refused asserts AWS's code and words.
func refused(t *testing.T, err error, code, words string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), words) {
		t.Errorf("got %v\nwant %s: … %s …", err, code, words)
	}
}

// eventually waits for something that the local cloud does by itself.
func eventually(t *testing.T, limit time.Duration, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		done, state := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s; last: %s", limit, what, state)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// token is what `aws eks get-token` makes.
func (a *account) token(cluster string) string { return a.tokenOf("AKIAEXAMPLE", cluster) }

// tokenOf is a token of another access key's holder.
func (a *account) tokenOf(key, cluster string) string {
	a.t.Helper()
	client := stssdk.New(a.sts.Options(), func(o *stssdk.Options) { o.Credentials = credentials.NewStaticCredentialsProvider(key, "secret", "") })
	presign := stssdk.NewPresignClient(client, func(o *stssdk.PresignOptions) {
		o.ClientOptions = append(o.ClientOptions, stssdk.WithAPIOptions(
			smithyhttp.SetHeaderValue("x-k8s-aws-id", cluster), smithyhttp.SetHeaderValue("X-Amz-Expires", "60")))
	})
	req, err := presign.PresignGetCallerIdentity(a.t.Context(), &stssdk.GetCallerIdentityInput{})
	if err != nil {
		a.t.Fatal(err)
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(req.URL))
}

func (a *account) kubernetes(c *types.Cluster, token string) kubernetes.Interface {
	a.t.Helper()
	ca, err := base64.StdEncoding.DecodeString(*c.CertificateAuthority.Data)
	if err != nil {
		a.t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(&rest.Config{Host: *c.Endpoint, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: ca}})
	if err != nil {
		a.t.Fatal(err)
	}
	return client
}
