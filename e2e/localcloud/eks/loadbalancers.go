package eks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"

	"aicluster/e2e/localcloud/controllers"
	"aicluster/e2e/localcloud/ec2"
)

// Annotations of the AWS cloud provider
// (https://cloud-provider-aws.sigs.k8s.io/service_controller/).
const (
	annotationType      = "service.beta.kubernetes.io/aws-load-balancer-type"
	annotationInternal  = "service.beta.kubernetes.io/aws-load-balancer-internal"
	annotationExtraTags = "service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags"
)

// balancers is the AWS part of the service controller that EKS runs. It makes
// network load balancers with the real SDK, as the one in EKS does, and leaves
// to the AWS Load Balancer Controller what is that one's.
type balancers struct {
	service *Service
	region  string
	elb     *elbv2.Client
}

// NetworkLoadBalancers makes the load balancers of Services in cfg's region by
// calling Elastic Load Balancing with cfg, whose credentials should be those of
// EKS's service-linked role.
func (s *Service) NetworkLoadBalancers(cfg aws.Config) controllers.LoadBalancers {
	return &balancers{service: s, region: cfg.Region, elb: elbv2.NewFromConfig(cfg)}
}

// cluster returns the VPC and the nodes' instances of a cluster.
func (b *balancers) cluster(name string) (vpc string, instances []string, err error) {
	b.service.mu.Lock()
	defer b.service.mu.Unlock()
	c, err := b.service.cluster(b.region, &name)
	if err != nil {
		return "", nil, err
	}
	return *c.data.ResourcesVpcConfig.VpcId, sortedKeys(c.nodes), nil
}

// Ensure makes the load balancer of a Service, with a listener for each port.
func (b *balancers) Ensure(ctx context.Context, clusterName string, svc *corev1.Service) (string, error) {
	switch kind := svc.Annotations[annotationType]; kind {
	case "nlb":
	case "nlb-ip", "external":
		return "", cloudprovider.ImplementedElsewhere
	default:
		return "", errors.New("classic load balancers are not available here: set " + annotationType + ": nlb")
	}
	lb, err := b.find(ctx, svc)
	if err == nil && lb == nil {
		lb, err = b.create(ctx, clusterName, svc)
	}
	if err != nil {
		return "", err
	}
	if err := b.listen(ctx, clusterName, svc, lb); err != nil {
		return "", err
	}
	return *lb.DNSName, nil
}

// find returns the Service's load balancer, nil if there is none.
func (b *balancers) find(ctx context.Context, svc *corev1.Service) (*elbtypes.LoadBalancer, error) {
	out, err := b.elb.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{Names: []string{cloudprovider.DefaultLoadBalancerName(svc)}})
	var missing *elbtypes.LoadBalancerNotFoundException
	if errors.As(err, &missing) || err == nil && len(out.LoadBalancers) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.LoadBalancers[0], nil
}

func (b *balancers) create(ctx context.Context, clusterName string, svc *corev1.Service) (*elbtypes.LoadBalancer, error) {
	internal := svc.Annotations[annotationInternal] == "true"
	vpc, _, err := b.cluster(clusterName)
	if err != nil {
		return nil, err
	}
	subnets, err := b.subnets(vpc, internal)
	if err != nil {
		return nil, err
	}
	scheme := elbtypes.LoadBalancerSchemeEnumInternetFacing
	if internal {
		scheme = elbtypes.LoadBalancerSchemeEnumInternal
	}
	out, err := b.elb.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{
		Name: aws.String(cloudprovider.DefaultLoadBalancerName(svc)), Type: elbtypes.LoadBalancerTypeEnumNetwork, Scheme: scheme,
		Subnets: subnets, Tags: balancerTags(clusterName, svc),
	})
	if err != nil {
		return nil, err
	}
	if len(out.LoadBalancers) == 0 {
		return nil, errors.New("CreateLoadBalancer returned none")
	}
	return &out.LoadBalancers[0], nil
}

// subnets chooses one subnet of the cluster's VPC in each zone: public ones for
// a load balancer that faces the internet, and among those the one that has the
// role tag.
func (b *balancers) subnets(vpc string, internal bool) ([]string, error) {
	role := "kubernetes.io/role/elb"
	if internal {
		role = "kubernetes.io/role/internal-elb"
	}
	best := map[string]ec2.Subnet{}
	for _, sn := range b.service.opts.EC2.SubnetsOf(b.region, vpc) {
		if !internal && !sn.Public {
			continue
		}
		have, ok := best[sn.Zone]
		_, tagged := sn.Tags[role]
		_, haveTagged := have.Tags[role]
		if !ok || tagged && !haveTagged || tagged == haveTagged && sn.ID < have.ID {
			best[sn.Zone] = sn
		}
	}
	var ids []string
	for _, zone := range sortedKeys(best) {
		ids = append(ids, best[zone].ID)
	}
	if len(ids) == 0 {
		return nil, errors.New("could not find any suitable subnets for creating the ELB")
	}
	return ids, nil
}

func balancerTags(clusterName string, svc *corev1.Service) []elbtypes.Tag {
	tags := map[string]string{
		"kubernetes.io/service-name":           svc.Namespace + "/" + svc.Name,
		"kubernetes.io/cluster/" + clusterName: "owned",
	}
	for pair := range strings.SplitSeq(svc.Annotations[annotationExtraTags], ",") {
		if k, v, _ := strings.Cut(pair, "="); strings.TrimSpace(k) != "" {
			tags[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	var list []elbtypes.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, elbtypes.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}

// listen makes the listeners that are missing, each with its target group.
func (b *balancers) listen(ctx context.Context, clusterName string, svc *corev1.Service, lb *elbtypes.LoadBalancer) error {
	vpc, instances, err := b.cluster(clusterName)
	if err != nil {
		return err
	}
	have, err := b.elb.DescribeListeners(ctx, &elbv2.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})
	if err != nil {
		return err
	}
	for _, port := range svc.Spec.Ports {
		if slices.ContainsFunc(have.Listeners, func(l elbtypes.Listener) bool { return *l.Port == port.Port }) {
			continue
		}
		protocol := elbtypes.ProtocolEnumTcp
		if port.Protocol == corev1.ProtocolUDP {
			protocol = elbtypes.ProtocolEnumUdp
		}
		group, err := b.elb.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
			Name: aws.String(targetGroupName(svc, port.Port)), Protocol: protocol, Port: aws.Int32(max(port.NodePort, 1)),
			VpcId: aws.String(vpc), TargetType: elbtypes.TargetTypeEnumInstance, Tags: balancerTags(clusterName, svc),
		})
		if err != nil {
			return err
		}
		if err := b.register(ctx, group.TargetGroups[0].TargetGroupArn, instances); err != nil {
			return err
		}
		_, err = b.elb.CreateListener(ctx, &elbv2.CreateListenerInput{
			LoadBalancerArn: lb.LoadBalancerArn, Port: aws.Int32(port.Port), Protocol: protocol,
			DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group.TargetGroups[0].TargetGroupArn}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// register makes instances targets.
func (b *balancers) register(ctx context.Context, group *string, instances []string) error {
	if len(instances) == 0 {
		return nil
	}
	in := &elbv2.RegisterTargetsInput{TargetGroupArn: group}
	for _, id := range instances {
		in.Targets = append(in.Targets, elbtypes.TargetDescription{Id: aws.String(id)})
	}
	_, err := b.elb.RegisterTargets(ctx, in)
	return err
}

// targetGroupName is unique to the Service's port and at most 32 characters long.
func targetGroupName(svc *corev1.Service, port int32) string {
	return fmt.Sprintf("k8s-%.12s-%d", strings.ReplaceAll(string(svc.UID), "-", ""), port)
}

// Delete removes the load balancer and then its target groups.
func (b *balancers) Delete(ctx context.Context, _ string, svc *corev1.Service) error {
	lb, err := b.find(ctx, svc)
	if err != nil || lb == nil {
		return err
	}
	groups, err := b.elb.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{LoadBalancerArn: lb.LoadBalancerArn})
	if err != nil {
		return err
	}
	if _, err := b.elb.DeleteLoadBalancer(ctx, &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}); err != nil {
		return err
	}
	var errs []error
	for _, g := range groups.TargetGroups {
		_, err := b.elb.DeleteTargetGroup(ctx, &elbv2.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
