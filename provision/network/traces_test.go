package network

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"aicluster/provision/cloud"
)

// A cluster that is gone stood in vpc-team, and left one thing there.
func TestTraces(t *testing.T) {
	kubernetes := map[string]string{"kubernetes.io/cluster/demo": "owned"}
	tests := map[string]struct {
		left func(*fakeEC2, *fakeELB)
		want string
	}{
		"nothing": {func(*fakeEC2, *fakeELB) {}, ""},
		"a security group of EKS": {func(f *fakeEC2, _ *fakeELB) {
			f.groups["sg-1"] = &types.SecurityGroup{GroupId: aws.String("sg-1"), VpcId: aws.String("vpc-team"), Tags: cloud.EC2Tags(map[string]string{"aws:eks:cluster-name": "demo"})}
		}, "vpc-team"},
		"an interface of the CNI": {func(f *fakeEC2, _ *fakeELB) {
			f.enis["eni-1"] = &types.NetworkInterface{NetworkInterfaceId: aws.String("eni-1"), VpcId: aws.String("vpc-team"), TagSet: cloud.EC2Tags(map[string]string{cniCluster: "demo"})}
		}, "vpc-team"},
		"a load balancer": {func(_ *fakeEC2, e *fakeELB) { e.put("a", "vpc-team", "", kubernetes) }, "vpc-team"},
		"a classic one": {func(_ *fakeEC2, e *fakeELB) {
			e.classic.balancers = []classictypes.LoadBalancerDescription{{LoadBalancerName: aws.String("a"), VPCId: aws.String("vpc-team")}}
			e.classic.tags["a"] = kubernetes
		}, "vpc-team"},
		"another cluster's":  {func(_ *fakeEC2, e *fakeELB) { e.put("a", "vpc-team", "", map[string]string{lbcCluster: "prod"}) }, ""},
		"one in its own VPC": {func(_ *fakeEC2, e *fakeELB) { e.put("a", "vpc-own", "", kubernetes) }, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.vpcs["vpc-team"] = &types.Vpc{VpcId: aws.String("vpc-team")}
			f.vpcs["vpc-own"] = &types.Vpc{VpcId: aws.String("vpc-own"), Tags: cloud.EC2Tags(cloud.Owner{Cluster: "demo"}.Tags(""))}
			f.subnets["subnet-1"] = &types.Subnet{SubnetId: aws.String("subnet-1"), VpcId: aws.String("vpc-team")}
			e := newFakeELB(f)
			tt.left(f, e)
			n, err := Traces(t.Context(), f, e.api(), "demo")
			if err != nil || n.VPCID != tt.want {
				t.Fatalf("%+v, %v", n, err)
			}
			if got := strings.Join(n.SubnetIDs, " "); tt.want != "" && got != "subnet-1" {
				t.Errorf("subnets %s", got)
			}
		})
	}
}
