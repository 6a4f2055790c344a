package e2e

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ec2Filter(name, value string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: []string{value}}
}

func (d drift) owned() types.Filter { return ec2Filter("tag:"+ownershipTag, d.cluster) }

// routes deletes the default route of the first private table, and leads the
// other ones' to the internet gateway, which is of no use to private addresses.
func (d drift) routes() error {
	gateways, err := d.ec2.DescribeInternetGateways(d.ctx, &ec2.DescribeInternetGatewaysInput{Filters: []types.Filter{d.owned()}})
	if err != nil {
		return err
	}
	tables, err := d.ec2.DescribeRouteTables(d.ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{d.owned(), ec2Filter("tag:Name", d.cluster+"-private-*")}})
	if err != nil {
		return err
	}
	anywhere := aws.String("0.0.0.0/0")
	for i, t := range tables.RouteTables {
		if i == 0 {
			_, err = d.ec2.DeleteRoute(d.ctx, &ec2.DeleteRouteInput{RouteTableId: t.RouteTableId, DestinationCidrBlock: anywhere})
		} else {
			_, err = d.ec2.ReplaceRoute(d.ctx, &ec2.ReplaceRouteInput{
				RouteTableId: t.RouteTableId, DestinationCidrBlock: anywhere, GatewayId: gateways.InternetGateways[0].InternetGatewayId,
			})
		}
		if err != nil {
			return err
		}
	}
	if len(tables.RouteTables) < 2 {
		return fmt.Errorf("%s has %d private route tables", d.cluster, len(tables.RouteTables))
	}
	return nil
}

func (d drift) endpoint() error {
	out, err := d.ec2.DescribeVpcEndpoints(d.ctx, &ec2.DescribeVpcEndpointsInput{Filters: []types.Filter{d.owned()}})
	if err != nil {
		return err
	}
	if len(out.VpcEndpoints) != 1 {
		return fmt.Errorf("%s has %d endpoints", d.cluster, len(out.VpcEndpoints))
	}
	e := out.VpcEndpoints[0]
	_, err = d.ec2.ModifyVpcEndpoint(d.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId, RemoveRouteTableIds: e.RouteTableIds})
	return err
}

// subnets are the ids of the cluster's subnets and of their VPC.
func (d drift) subnets() (vpc *string, ids []string, err error) {
	out, err := d.ec2.DescribeSubnets(d.ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{d.owned()}})
	if err != nil {
		return nil, nil, err
	}
	for _, s := range out.Subnets {
		vpc, ids = s.VpcId, append(ids, *s.SubnetId)
	}
	if len(ids) == 0 {
		return nil, nil, errors.New(d.cluster + " has no subnets")
	}
	return vpc, ids, nil
}

// leftInterface leaves an interface as the VPC CNI does when its node ends too
// early (amazon-vpc-cni-k8s #69).
func (d drift) leftInterface() error {
	_, subnets, err := d.subnets()
	if err != nil {
		return err
	}
	_, err = d.ec2.CreateNetworkInterface(d.ctx, &ec2.CreateNetworkInterfaceInput{
		SubnetId: &subnets[0], Description: aws.String("aws-K8S-i-0123456789abcdef0"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeNetworkInterface, Tags: []types.Tag{
			{Key: aws.String("node.k8s.amazonaws.com/instance_id"), Value: aws.String("i-0123456789abcdef0")},
			{Key: aws.String("cluster.k8s.amazonaws.com/name"), Value: &d.cluster},
		}}},
	})
	return err
}

// balancer leaves what a load balancer controller makes for a Service, with its
// tag, as when the Service was removed while the controller was down.
func (d drift) balancer() error {
	vpc, subnets, err := d.subnets()
	if err != nil {
		return err
	}
	key, owned := "kubernetes.io/cluster/"+d.cluster, "owned"
	made, err := d.ec2.CreateSecurityGroup(d.ctx, &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("k8s-elb-orphan"), Description: aws.String("Security group for Kubernetes ELB orphan"), VpcId: vpc,
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroup, Tags: []types.Tag{{Key: &key, Value: &owned}}}},
	})
	if err != nil {
		return err
	}
	if err := d.letIn(made.GroupId); err != nil {
		return err
	}
	tags := []elbtypes.Tag{{Key: &key, Value: &owned}}
	balancer, err := d.elb.CreateLoadBalancer(d.ctx, &elb.CreateLoadBalancerInput{
		Name: aws.String("orphan"), Type: elbtypes.LoadBalancerTypeEnumNetwork, Scheme: elbtypes.LoadBalancerSchemeEnumInternal, Subnets: subnets[:1], Tags: tags,
	})
	if err != nil {
		return err
	}
	group, err := d.elb.CreateTargetGroup(d.ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("orphan"), Protocol: elbtypes.ProtocolEnumTcp, Port: aws.Int32(80), VpcId: vpc, TargetType: elbtypes.TargetTypeEnumInstance, Tags: tags,
	})
	if err != nil {
		return err
	}
	_, err = d.elb.CreateListener(d.ctx, &elb.CreateListenerInput{
		LoadBalancerArn: balancer.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumTcp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group.TargetGroups[0].TargetGroupArn}},
	})
	return err
}

// letIn lets a load balancer's group into the one that EKS made for the cluster,
// as its controller does for the nodes behind it.
func (d drift) letIn(balancers *string) error {
	wait := ec2.NewSecurityGroupExistsWaiter(d.ec2, func(o *ec2.SecurityGroupExistsWaiterOptions) { o.MinDelay, o.MaxDelay = natPoll, natPoll })
	if err := wait.Wait(d.ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*balancers}}, natLimit); err != nil {
		return err
	}
	groups, err := d.ec2.DescribeSecurityGroups(d.ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{ec2Filter("tag:aws:eks:cluster-name", d.cluster)}})
	if err != nil {
		return err
	}
	if len(groups.SecurityGroups) == 0 {
		return errors.New(d.cluster + " has no security group of EKS's")
	}
	_, err = d.ec2.AuthorizeSecurityGroupIngress(d.ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId:       groups.SecurityGroups[0].GroupId,
		IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: balancers}}}},
	})
	return err
}

// volume leaves an EBS volume whose claim is gone, and which Kubernetes was to
// delete and did not.
func (d drift) volume() error {
	id, err := hand{ctx: d.ctx, f: d.fixture, region: d.region, cluster: d.cluster}.volume()
	if err != nil {
		return err
	}
	_, err = kubernetesOf(d.TestScript).CoreV1().PersistentVolumes().Create(d.ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-left-over"},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com", VolumeHandle: id}},
		},
	}, metav1.CreateOptions{})
	return err
}

// silence sets the idle timeout of every listener of the region to its least.
func (d drift) silence() error {
	balancers, err := d.elb.DescribeLoadBalancers(d.ctx, &elb.DescribeLoadBalancersInput{})
	if err != nil {
		return err
	}
	for _, b := range balancers.LoadBalancers {
		listeners, err := d.elb.DescribeListeners(d.ctx, &elb.DescribeListenersInput{LoadBalancerArn: b.LoadBalancerArn})
		if err != nil {
			return err
		}
		for _, l := range listeners.Listeners {
			_, err := d.elb.ModifyListenerAttributes(d.ctx, &elb.ModifyListenerAttributesInput{ListenerArn: l.ListenerArn,
				Attributes: []elbtypes.ListenerAttribute{{Key: aws.String("tcp.idle_timeout.seconds"), Value: aws.String("60")}}})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
