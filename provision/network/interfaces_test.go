package network

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// TestWhoHoldsASubnet puts one interface into a subnet that never goes: how long
// teardown waits for it, and what it says.
func TestWhoHoldsASubnet(t *testing.T) {
	const others, ours = "which is not this cluster's", "waiting for eni-x"
	for name, test := range map[string]struct {
		eni      types.NetworkInterface
		standing string // a load balancer, nobody's of the cluster
		classic  string // a classic one
		limit    time.Duration
		says     string
		message  string
	}{
		"database": {
			eni:   types.NetworkInterface{Description: aws.String("RDSNetworkInterface"), RequesterManaged: aws.Bool(true), RequesterId: aws.String("amazon-rds")},
			limit: foreignLimit, says: others, message: "eni-x (RDSNetworkInterface) of amazon-rds, which is not this cluster's",
		},
		"instance": {
			eni:   types.NetworkInterface{InterfaceType: "interface", Attachment: &types.NetworkInterfaceAttachment{InstanceId: aws.String("i-1")}},
			limit: foreignLimit, says: others, message: "eni-x (interface) of instance i-1, which is not this cluster's",
		},
		"somebody's": {
			eni:   types.NetworkInterface{Description: aws.String("mine"), RequesterId: aws.String("AIDAX"), OwnerId: aws.String("111122223333")},
			limit: foreignLimit, says: others, message: "eni-x (mine) of account 111122223333, which is not this cluster's",
		},
		"other load balancer": {
			eni:      types.NetworkInterface{Description: aws.String("ELB net/web/0a"), RequesterManaged: aws.Bool(true), RequesterId: aws.String("amazon-elb")},
			standing: "web", limit: foreignLimit, says: others, message: "eni-x (ELB net/web/0a) of amazon-elb, which is not this cluster's",
		},
		"load balancer that is gone": {
			eni:   types.NetworkInterface{Description: aws.String("ELB net/k8s/0a")},
			limit: subnetDeleteLimit, says: ours, message: "held by eni-x (ELB net/k8s/0a).",
		},
		"other classic load balancer": {
			eni:     types.NetworkInterface{Description: aws.String("ELB web"), RequesterManaged: aws.Bool(true), RequesterId: aws.String("amazon-elb")},
			classic: "web", limit: foreignLimit, says: others, message: "eni-x (ELB web) of amazon-elb, which is not this cluster's",
		},
		"classic load balancer that is gone": {
			eni:   types.NetworkInterface{Description: aws.String("ELB a0123")},
			limit: subnetDeleteLimit, says: ours, message: "held by eni-x (ELB a0123).",
		},
		"control plane": {
			eni:   types.NetworkInterface{Description: aws.String("Amazon EKS demo")},
			limit: subnetDeleteLimit, says: ours, message: "held by eni-x (Amazon EKS demo).",
		},
		"node": {
			eni:   types.NetworkInterface{InterfaceType: "interface", Groups: []types.GroupIdentifier{{GroupName: aws.String("eks-cluster-sg-demo-123")}}},
			limit: subnetDeleteLimit, says: ours, message: "held by eni-x (interface).",
		},
		"node of another cluster": {
			eni:   types.NetworkInterface{InterfaceType: "interface", Groups: []types.GroupIdentifier{{GroupName: aws.String("eks-cluster-sg-demo-two-123")}}},
			limit: foreignLimit, says: others, message: "which is not this cluster's",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint(system)
				b.Network.NATGateways = "none"
				n := mustUp(t, f, b)
				lbs := newFakeELB(f)
				if test.standing != "" {
					lbs.put(test.standing, n.VPCID(), "", map[string]string{"team": "web"})
				}
				if test.classic != "" {
					lbs.classic.balancers = []classictypes.LoadBalancerDescription{{LoadBalancerName: &test.classic, VPCId: aws.String(n.VPCID())}}
				}
				test.eni.NetworkInterfaceId, test.eni.SubnetId, test.eni.Status = aws.String("eni-x"), aws.String(n.PrivateSubnetIDs()[0]), types.NetworkInterfaceStatusInUse
				f.enis["eni-x"] = &test.eni
				g, plan := lbs.plan(t, b)
				start := time.Now()
				var said []string
				result, _ := g.Teardown(t.Context(), plan, engine.Options{Events: func(e engine.Event) {
					if e.State == engine.Running && strings.HasPrefix(e.Resource, "subnet/private") {
						said = append(said, e.Message)
					}
				}})
				var e *cloud.Error
				if err := result.Err(); !errors.As(err, &e) || !strings.Contains(e.Message, test.message) || e.Code != "DependencyViolation" || e.Hint == "" {
					t.Errorf("error %+v", err)
				}
				if took := time.Since(start); took < test.limit || took > test.limit+20*time.Second {
					t.Errorf("gave up after %s, want %s", took, test.limit)
				}
				if len(said) == 0 || !strings.Contains(said[0], test.says) {
					t.Errorf("said %q first", said)
				}
			})
		})
	}
}

// TestForeignInterfaceThatGoes: somebody removes it in time.
func TestForeignInterfaceThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		b.Network.NATGateways = "none"
		n := mustUp(t, f, b)
		f.enis["eni-x"] = &types.NetworkInterface{NetworkInterfaceId: aws.String("eni-x"), SubnetId: aws.String(n.PrivateSubnetIDs()[0]), Description: aws.String("mine")}
		time.AfterFunc(10*time.Second, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.enis, "eni-x")
		})
		if err := teardown(t, f, b); err != nil || f.left() != 0 {
			t.Errorf("error %v, %d left", err, f.left())
		}
	})
}

// TestWhoHoldsAVPC: what has no interface is named, too, with its owner, and is
// not waited for as long as what goes by itself.
func TestWhoHoldsAVPC(t *testing.T) {
	account := aws.String("111122223333")
	for name, test := range map[string]struct {
		put     func(f *fakeEC2, vpcID string)
		message string
	}{
		"security group": {func(f *fakeEC2, vpcID string) {
			f.groups["sg-x"] = &types.SecurityGroup{GroupId: aws.String("sg-x"), GroupName: aws.String("web"), Description: aws.String("the web team's"), VpcId: &vpcID, OwnerId: account}
		}, "sg-x (security group web: the web team's) of account 111122223333, which is not this cluster's"},
		"subnet": {func(f *fakeEC2, vpcID string) {
			f.subnets["subnet-x"] = &types.Subnet{SubnetId: aws.String("subnet-x"), CidrBlock: aws.String("10.42.200.0/24"), VpcId: &vpcID, OwnerId: account}
		}, "subnet-x (subnet 10.42.200.0/24) of account 111122223333, which is not this cluster's"},
		"endpoint": {func(f *fakeEC2, vpcID string) {
			f.endpoints["vpce-x"] = &types.VpcEndpoint{VpcEndpointId: aws.String("vpce-x"), ServiceName: aws.String("com.amazonaws.x.dynamodb"), VpcId: &vpcID, OwnerId: account}
		}, "vpce-x (endpoint com.amazonaws.x.dynamodb) of account 111122223333, which is not this cluster's"},
		"internet gateway": {func(f *fakeEC2, vpcID string) {
			f.gateways["igw-x"] = &types.InternetGateway{InternetGatewayId: aws.String("igw-x"), OwnerId: account, Attachments: []types.InternetGatewayAttachment{{VpcId: &vpcID}}}
		}, "igw-x (internet gateway) of account 111122223333, which is not this cluster's"},
		"route table": {func(f *fakeEC2, vpcID string) {
			f.tables["rtb-x"] = &types.RouteTable{RouteTableId: aws.String("rtb-x"), VpcId: &vpcID, OwnerId: account}
		}, "rtb-x (route table) of account 111122223333, which is not this cluster's"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint(system)
				b.Network.NATGateways = "none"
				n := mustUp(t, f, b)
				test.put(f, n.VPCID())
				f.fail["DeleteVpc"] = apiError("DependencyViolation", "The vpc has dependencies and cannot be deleted.")
				start := time.Now()
				err := teardown(t, f, b)
				var e *cloud.Error
				if !errors.As(err, &e) || !strings.Contains(e.Message, test.message) || !strings.Contains(e.Hint, "by hand") {
					t.Errorf("error %+v", err)
				}
				if took := time.Since(start); took < foreignLimit || took > 2*foreignLimit {
					t.Errorf("gave up after %s", took)
				}
			})
		})
	}
}
