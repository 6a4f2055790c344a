package server

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const clusterTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`

// From nothing to a Kubernetes API that knows who calls, with no more than the
// SDK and a token as the AWS CLI makes them.
func TestSmoke(t *testing.T) {
	c, cfg := startCloud(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	net := ec2.NewFromConfig(cfg)
	vpc, err := net.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	var subnets []string
	for cidr, zone := range map[string]string{"10.42.0.0/20": "a", "10.42.16.0/20": "b"} {
		out, err := net.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: &cidr, AvailabilityZone: aws.String(Region + zone)})
		if err != nil {
			t.Fatal(err)
		}
		subnets = append(subnets, *out.Subnet.SubnetId)
	}
	roles := iam.NewFromConfig(cfg)
	role, err := roles.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("cluster"), AssumeRolePolicyDocument: aws.String(clusterTrust)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = roles.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role.Role.RoleName, PolicyArn: aws.String("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(c.clock.Duration("iam.propagation") + 10*time.Millisecond)

	clusters := eks.NewFromConfig(cfg)
	_, err = clusters.CreateCluster(ctx, &eks.CreateClusterInput{
		Name: aws.String("demo"), RoleArn: role.Role.Arn, Version: aws.String("1.35"),
		ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: subnets},
		AccessConfig:       &ekstypes.CreateAccessConfigRequest{AuthenticationMode: ekstypes.AuthenticationModeApi},
	})
	if err != nil {
		t.Fatal(err)
	}
	waiter := eks.NewClusterActiveWaiter(clusters, func(o *eks.ClusterActiveWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, time.Second
	})
	made, err := waiter.WaitForOutput(ctx, &eks.DescribeClusterInput{Name: aws.String("demo")}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := base64.StdEncoding.DecodeString(*made.Cluster.CertificateAuthority.Data)
	if err != nil {
		t.Fatal(err)
	}
	kubernetes, err := kubernetes.NewForConfig(&rest.Config{
		Host: *made.Cluster.Endpoint, BearerToken: token(t, cfg, "demo"), TLSClientConfig: rest.TLSClientConfig{CAData: ca},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubernetes.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// token makes a bearer token as "aws eks get-token" does.
func token(t *testing.T, cfg aws.Config, cluster string) string {
	t.Helper()
	signer := sts.NewPresignClient(sts.NewFromConfig(cfg), sts.WithPresignClientFromClientOptions(func(o *sts.Options) {
		o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue("x-k8s-aws-id", cluster), smithyhttp.SetHeaderValue("X-Amz-Expires", "60"))
	}))
	request, err := signer.PresignGetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(request.URL))
}
