package eks_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekssdk "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
)

// TestClusterLife makes a cluster with nodes on a real control plane and takes
// all of it away again.
func TestClusterLife(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	time.Sleep(clock.New(600).Duration(clock.IAMPropagation) + 10*time.Millisecond)
	before := a.compute.Inventory()
	name := aws.String("life")

	first := must(a.eks.CreateCluster(ctx, a.clusterInput("life")))(t).Cluster
	again := must(a.eks.CreateCluster(ctx, a.clusterInput("life")))(t).Cluster
	if *first.Arn != *again.Arn || first.Status != types.ClusterStatusCreating {
		t.Errorf("first %s %s, again %s", *first.Arn, first.Status, *again.Arn)
	}
	other := a.clusterInput("life")
	other.ClientRequestToken = aws.String("another")
	_, err := a.eks.CreateCluster(ctx, other)
	refused(t, err, "ResourceInUseException", "Cluster already exists with name: life")
	_, err = a.eks.CreateNodegroup(ctx, a.nodegroupInput("early"))
	refused(t, err, "InvalidRequestException", "Cluster 'life' is not in ACTIVE status")

	var cluster *types.Cluster
	eventually(t, 2*time.Minute, "cluster ACTIVE", func() (bool, string) {
		cluster = must(a.eks.DescribeCluster(ctx, &ekssdk.DescribeClusterInput{Name: name}))(t).Cluster
		if cluster.Status == types.ClusterStatusFailed {
			t.Fatalf("%+v", cluster.Health.Issues)
		}
		return cluster.Status == types.ClusterStatusActive, string(cluster.Status)
	})
	t.Run("token", func(t *testing.T) { a.checkTokens(cluster) })
	client := a.kubernetes(cluster, a.token("life"))

	for _, addon := range []string{"vpc-cni", "kube-proxy"} {
		must(a.eks.CreateAddon(ctx, &ekssdk.CreateAddonInput{ClusterName: name, AddonName: aws.String(addon)}))(t)
	}
	eventually(t, time.Minute, "vpc-cni ACTIVE", func() (bool, string) {
		addon := must(a.eks.DescribeAddon(ctx, &ekssdk.DescribeAddonInput{ClusterName: name, AddonName: aws.String("vpc-cni")}))(t).Addon
		return addon.Status == types.AddonStatusActive, fmt.Sprintf("%s %+v", addon.Status, addon.Health.Issues)
	})

	must(a.eks.CreateNodegroup(ctx, a.nodegroupInput("workers")))(t)
	eventually(t, time.Minute, "node group ACTIVE", func() (bool, string) { return a.nodegroupIs("workers", types.NodegroupStatusActive) })
	a.checkNodes(client)

	t.Run("scale", func(t *testing.T) {
		must(a.eks.UpdateNodegroupConfig(ctx, &ekssdk.UpdateNodegroupConfigInput{
			ClusterName: name, NodegroupName: aws.String("workers"), ScalingConfig: &types.NodegroupScalingConfig{DesiredSize: aws.Int32(1), MinSize: aws.Int32(1)},
			Labels: &types.UpdateLabelsPayload{AddOrUpdateLabels: map[string]string{"added": "yes"}},
		}))(t)
		eventually(t, 20*time.Second, "one node with the new label", func() (bool, string) {
			nodes := must(client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "added=yes"}))(t).Items
			all := must(client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}))(t).Items
			return len(nodes) == 1 && len(all) == 1, fmt.Sprint(len(nodes), len(all))
		})
	})
	t.Run("rolling update", func(t *testing.T) { a.checkRoll(t, client) })
	t.Run("load balancer", func(t *testing.T) { a.checkLoadBalancer(t, client) })
	t.Run("access", func(t *testing.T) { a.checkAccess(t, cluster) })
	t.Run("pod identity", func(t *testing.T) { a.checkPodIdentity(t, client) })
	t.Run("launch templates", func(t *testing.T) { a.checkLaunchTemplates(t) })
	t.Run("no capacity", func(t *testing.T) { a.checkCapacityFailure() })
	a.teardown(before)
}

func (a *account) nodegroupInput(name string) *ekssdk.CreateNodegroupInput {
	return &ekssdk.CreateNodegroupInput{
		ClusterName: aws.String("life"), NodegroupName: &name, NodeRole: aws.String(a.roles["node"]), Subnets: a.subnets,
		InstanceTypes: []string{"c6i.xlarge"}, ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(1), MaxSize: aws.Int32(3), DesiredSize: aws.Int32(2)},
		Labels: map[string]string{"role": "work"},
		Taints: []types.Taint{{Key: aws.String("dedicated"), Value: aws.String("yes"), Effect: types.TaintEffectNoSchedule}},
	}
}

func (a *account) nodegroupIs(name string, want types.NodegroupStatus) (bool, string) {
	a.t.Helper()
	n := must(a.eks.DescribeNodegroup(a.t.Context(), &ekssdk.DescribeNodegroupInput{ClusterName: aws.String("life"), NodegroupName: &name}))(a.t).Nodegroup
	return n.Status == want, fmt.Sprintf("%s %+v", n.Status, n.Health.Issues)
}

func (a *account) checkTokens(cluster *types.Cluster) {
	ctx := a.t.Context()
	if _, err := a.kubernetes(cluster, a.token("life")).CoreV1().Namespaces().List(ctx, metav1.ListOptions{}); err != nil {
		a.t.Errorf("the creator is refused: %v", err)
	}
	for what, token := range map[string]string{"another cluster's": a.token("other"), "malformed": "k8s-aws-v1.x", "unsigned": "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte("http://example.com/?Action=GetCallerIdentity"))} {
		if _, err := a.kubernetes(cluster, token).CoreV1().Namespaces().List(ctx, metav1.ListOptions{}); err == nil || !strings.Contains(err.Error(), "Unauthorized") {
			a.t.Errorf("%s token: got %v, want Unauthorized", what, err)
		}
	}
}

func (a *account) checkNodes(client kubernetes.Interface) {
	t := a.t
	nodes := must(client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}))(t).Items
	if len(nodes) != 2 {
		t.Fatalf("%d nodes, want 2", len(nodes))
	}
	zones := map[string]bool{}
	for _, n := range nodes {
		zones[n.Labels[corev1.LabelTopologyZone]] = true
		for label, want := range map[string]string{
			"eks.amazonaws.com/nodegroup": "workers", "eks.amazonaws.com/capacityType": "ON_DEMAND", "role": "work",
			corev1.LabelInstanceTypeStable: "c6i.xlarge", corev1.LabelArchStable: "amd64",
		} {
			if n.Labels[label] != want {
				t.Errorf("%s: label %s = %q, want %q", n.Name, label, n.Labels[label], want)
			}
		}
		if !strings.HasPrefix(n.Spec.ProviderID, "aws:///"+n.Labels[corev1.LabelTopologyZone]+"/i-") {
			t.Errorf("provider id %s", n.Spec.ProviderID)
		}
		if pods := n.Status.Allocatable.Pods().Value(); pods != 58 {
			t.Errorf("%d pods, want 58", pods)
		}
		if len(n.Spec.Taints) == 0 || n.Spec.Taints[0].Key != "dedicated" {
			t.Errorf("taints %v", n.Spec.Taints)
		}
	}
	if len(zones) != 2 {
		t.Errorf("zones %v, want two", zones)
	}
}

// checkCapacityFailure makes a node group that AWS has no capacity for.
func (a *account) checkCapacityFailure() {
	t, ctx := a.t, a.t.Context()
	for _, zone := range []string{"a", "b"} {
		a.compute.SetCapacity(region, "p4d.24xlarge", region+zone, ec2.OnDemand, 0)
	}
	in := a.nodegroupInput("gpu")
	in.InstanceTypes, in.ScalingConfig = []string{"p4d.24xlarge"}, &types.NodegroupScalingConfig{MinSize: aws.Int32(0), MaxSize: aws.Int32(1), DesiredSize: aws.Int32(1)}
	must(a.eks.CreateNodegroup(ctx, in))(t)
	var issue types.Issue
	eventually(t, time.Minute, "an issue while CREATING", func() (bool, string) {
		n := must(a.eks.DescribeNodegroup(ctx, &ekssdk.DescribeNodegroupInput{ClusterName: in.ClusterName, NodegroupName: in.NodegroupName}))(t).Nodegroup
		if len(n.Health.Issues) == 0 {
			return false, string(n.Status)
		}
		issue = n.Health.Issues[0]
		return n.Status == types.NodegroupStatusCreating, string(n.Status)
	})
	if issue.Code != types.NodegroupIssueCodeAsgInstanceLaunchFailures ||
		!strings.HasPrefix(*issue.Message, "Could not launch On-Demand Instances. ") || !strings.HasSuffix(*issue.Message, " Launching EC2 instance failed.") {
		t.Errorf("issue %s %q", issue.Code, *issue.Message)
	}
	must(a.eks.DeleteNodegroup(ctx, &ekssdk.DeleteNodegroupInput{ClusterName: in.ClusterName, NodegroupName: in.NodegroupName}))(t)
	a.gone("gpu")
}

// checkRoll puts the nodes on another AMI release, which replaces them.
func (a *account) checkRoll(t *testing.T, client kubernetes.Interface) {
	ctx, name, workers := t.Context(), aws.String("life"), aws.String("workers")
	before := must(client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}))(t).Items[0].Name
	_, err := a.eks.UpdateNodegroupVersion(ctx, &ekssdk.UpdateNodegroupVersionInput{ClusterName: name, NodegroupName: workers, ReleaseVersion: aws.String("1.35.5-20200101")})
	refused(t, err, "InvalidParameterException", "Requested release version 1.35.5-20200101 is not valid for kubernetes version 1.35.")
	u := must(a.eks.UpdateNodegroupVersion(ctx, &ekssdk.UpdateNodegroupVersionInput{ClusterName: name, NodegroupName: workers, ReleaseVersion: aws.String("1.35.5-20260714")}))(t).Update
	_, err = a.eks.UpdateNodegroupVersion(ctx, &ekssdk.UpdateNodegroupVersionInput{ClusterName: name, NodegroupName: workers})
	refused(t, err, "ResourceInUseException", "Nodegroup cannot be updated as it is currently not in Active State")
	eventually(t, time.Minute, "update successful", func() (bool, string) {
		got := must(a.eks.DescribeUpdate(ctx, &ekssdk.DescribeUpdateInput{Name: name, NodegroupName: workers, UpdateId: u.Id}))(t).Update
		return got.Status == types.UpdateStatusSuccessful, fmt.Sprintf("%s %v", got.Status, got.Errors)
	})
	nodes := must(client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}))(t).Items
	if len(nodes) != 1 || nodes[0].Name == before {
		t.Errorf("nodes after the update: %d, the old one: %t", len(nodes), nodes[0].Name == before)
	}
}

// checkLaunchTemplates tries a template whose user data EKS cannot merge its own
// into. What EKS refuses at once is in TestRefusedTemplates.
func (a *account) checkLaunchTemplates(t *testing.T) {
	ctx := t.Context()
	template := func(name string, data *ec2types.RequestLaunchTemplateData) *types.LaunchTemplateSpecification {
		out := must(a.ec2.CreateLaunchTemplate(ctx, &ec2sdk.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: data}))(t)
		t.Cleanup(func() {
			_, err := a.ec2.DeleteLaunchTemplate(context.Background(), &ec2sdk.DeleteLaunchTemplateInput{LaunchTemplateName: &name})
			if err != nil {
				t.Error(err)
			}
		})
		return &types.LaunchTemplateSpecification{Id: out.LaunchTemplate.LaunchTemplateId}
	}
	in := a.nodegroupInput("script")
	in.LaunchTemplate = template("script", &ec2types.RequestLaunchTemplateData{UserData: aws.String(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh")))})
	must(a.eks.CreateNodegroup(ctx, in))(t)
	eventually(t, 20*time.Second, "CREATE_FAILED for its user data", func() (bool, string) {
		n := must(a.eks.DescribeNodegroup(ctx, &ekssdk.DescribeNodegroupInput{ClusterName: in.ClusterName, NodegroupName: in.NodegroupName}))(t).Nodegroup
		failed := n.Status == types.NodegroupStatusCreateFailed && len(n.Health.Issues) == 1 && n.Health.Issues[0].Code == types.NodegroupIssueCodeEc2LaunchTemplateInvalidConfiguration
		return failed, fmt.Sprintf("%s %+v", n.Status, n.Health.Issues)
	})
	must(a.eks.DeleteNodegroup(ctx, &ekssdk.DeleteNodegroupInput{ClusterName: in.ClusterName, NodegroupName: in.NodegroupName}))(t)
	a.gone("script")
}

// checkLoadBalancer gives Services a network and a classic load balancer by the
// AWS cloud provider, and takes them back.
func (a *account) checkLoadBalancer(t *testing.T, client kubernetes.Interface) {
	for name, kind := range map[string]string{"network": "nlb", "classic": ""} {
		t.Run(name, func(t *testing.T) { a.checkService(t, client, name, kind) })
	}
}

func (a *account) checkService(t *testing.T, client kubernetes.Interface, name, kind string) {
	ctx := t.Context()
	services := client.CoreV1().Services("default")
	must(services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
			"service.beta.kubernetes.io/aws-load-balancer-type": kind, "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
		}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{}))(t)
	eventually(t, 20*time.Second, "hostname", func() (bool, string) {
		svc := must(services.Get(ctx, name, metav1.GetOptions{}))(t)
		ingress := svc.Status.LoadBalancer.Ingress
		return len(ingress) == 1 && strings.HasSuffix(ingress[0].Hostname, ".amazonaws.com"), fmt.Sprint(ingress)
	})
	groups := func() []string {
		var names []string
		out := must(a.ec2.DescribeSecurityGroups(ctx, &ec2sdk.DescribeSecurityGroupsInput{
			Filters: []ec2types.Filter{{Name: aws.String("group-name"), Values: []string{"k8s-elb-*"}}},
		}))(t)
		for _, g := range out.SecurityGroups {
			names = append(names, *g.GroupName)
		}
		return names
	}
	if got, want := len(groups()), map[string]int{"": 1}[kind]; got != want {
		t.Errorf("%d security groups of load balancers, want %d", got, want)
	}
	if err := services.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "service gone", func() (bool, string) {
		_, err := services.Get(ctx, name, metav1.GetOptions{})
		return err != nil, "still there"
	})
	if left := groups(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// checkAccess lets a second user in by an access entry with a policy.
func (a *account) checkAccess(t *testing.T, cluster *types.Cluster) {
	ctx, name := t.Context(), aws.String("life")
	entries := must(a.eks.ListAccessEntries(ctx, &ekssdk.ListAccessEntriesInput{ClusterName: name}))(t).AccessEntries
	if strings.Join(entries, " ") != a.roles["node"]+" arn:aws:iam::111122223333:user/tester" {
		t.Errorf("entries %v", entries)
	}
	role := aws.String(a.roles["stranger"])
	must(a.eks.CreateAccessEntry(ctx, &ekssdk.CreateAccessEntryInput{ClusterName: name, PrincipalArn: role}))(t)
	_, err := a.eks.CreateAccessEntry(ctx, &ekssdk.CreateAccessEntryInput{ClusterName: name, PrincipalArn: role})
	refused(t, err, "ResourceInUseException", "The specified access entry resource is already in use on this cluster.")
	must(a.eks.AssociateAccessPolicy(ctx, &ekssdk.AssociateAccessPolicyInput{
		ClusterName: name, PrincipalArn: role, AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster},
		PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"),
	}))(t)
	time.Sleep(clock.New(600).Duration(clock.AccessPropagation))
	client := a.kubernetes(cluster, a.tokenOf("STRANGER", "life"))
	if _, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("the viewer may not view: %v", err)
	}
	err = client.CoreV1().Services("default").Delete(ctx, "kubernetes", metav1.DeleteOptions{})
	if err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("the viewer may delete: %v", err)
	}
}

func (a *account) gone(nodegroup string) {
	a.t.Helper()
	eventually(a.t, time.Minute, "node group gone", func() (bool, string) {
		_, err := a.eks.DescribeNodegroup(a.t.Context(), &ekssdk.DescribeNodegroupInput{ClusterName: aws.String("life"), NodegroupName: &nodegroup})
		var missing *types.ResourceNotFoundException
		return errors.As(err, &missing), fmt.Sprint(err)
	})
}

// teardown deletes everything and compares EC2 with what it was.
func (a *account) teardown(before []string) {
	t, ctx, name := a.t, a.t.Context(), aws.String("life")
	_, err := a.eks.DeleteCluster(ctx, &ekssdk.DeleteClusterInput{Name: name})
	refused(t, err, "ResourceInUseException", "Cluster has nodegroups attached")
	must(a.eks.DeleteNodegroup(ctx, &ekssdk.DeleteNodegroupInput{ClusterName: name, NodegroupName: aws.String("workers")}))(t)
	a.gone("workers")
	if left := a.groups.Inventory(); len(left) > 0 {
		t.Errorf("Auto Scaling groups left: %v", left)
	}
	// The interface that the VPC CNI left behind holds the cluster security group.
	left := must(a.ec2.DescribeNetworkInterfaces(ctx, &ec2sdk.DescribeNetworkInterfacesInput{
		Filters: []ec2types.Filter{{Name: aws.String("tag:cluster.k8s.amazonaws.com/name"), Values: []string{"life"}}, {Name: aws.String("status"), Values: []string{"available"}}},
	}))(t).NetworkInterfaces
	if len(left) != 1 || !strings.HasPrefix(*left[0].Description, "aws-K8S-i-") {
		t.Errorf("%d interfaces left behind, want 1", len(left))
	}
	for _, i := range left {
		must(a.ec2.DeleteNetworkInterface(ctx, &ec2sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: i.NetworkInterfaceId}))(t)
	}
	_, err = a.ec2.DeleteSubnet(ctx, &ec2sdk.DeleteSubnetInput{SubnetId: &a.subnets[0]})
	refused(t, err, "DependencyViolation", "has dependencies and cannot be deleted")
	must(a.eks.DeleteCluster(ctx, &ekssdk.DeleteClusterInput{Name: name}))(t)
	eventually(t, time.Minute, "cluster gone", func() (bool, string) {
		_, err := a.eks.DescribeCluster(ctx, &ekssdk.DescribeClusterInput{Name: name})
		var missing *types.ResourceNotFoundException
		return errors.As(err, &missing), fmt.Sprint(err)
	})
	if left := a.service.Inventory(); len(left) > 0 {
		t.Errorf("left in EKS: %v", left)
	}
	if after := a.compute.Inventory(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("EC2 before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// TestSelfManagedAddons takes over what EKS puts into a cluster by itself, and
// ends with the protection against deletion.
func TestSelfManagedAddons(t *testing.T) {
	a := newAccount(t)
	ctx, name := t.Context(), aws.String("self")
	time.Sleep(clock.New(600).Duration(clock.IAMPropagation) + 10*time.Millisecond)
	in := a.clusterInput("self")
	in.BootstrapSelfManagedAddons, in.DeletionProtection = nil, aws.Bool(true)
	in.Logging = &types.Logging{ClusterLogging: []types.LogSetup{{Enabled: aws.Bool(true), Types: []types.LogType{types.LogTypeApi}}}}
	must(a.eks.CreateCluster(ctx, in))(t)
	status := func() types.ClusterStatus {
		return must(a.eks.DescribeCluster(ctx, &ekssdk.DescribeClusterInput{Name: name}))(t).Cluster.Status
	}
	eventually(t, time.Minute, "cluster ACTIVE", func() (bool, string) { s := status(); return s == types.ClusterStatusActive, string(s) })
	if groups := a.logs.Inventory(); len(groups) != 1 || !strings.Contains(groups[0], "/aws/eks/self/cluster") {
		t.Errorf("log groups %v", groups)
	}

	for _, test := range []struct {
		resolve types.ResolveConflicts
		want    types.AddonStatus
		code    types.AddonIssueCode
	}{
		{types.ResolveConflictsNone, types.AddonStatusCreateFailed, types.AddonIssueCodeConfigurationConflict},
		{types.ResolveConflictsOverwrite, types.AddonStatusActive, ""},
	} {
		t.Run(string(test.resolve), func(t *testing.T) {
			addon := aws.String("vpc-cni")
			must(a.eks.CreateAddon(ctx, &ekssdk.CreateAddonInput{ClusterName: name, AddonName: addon, ResolveConflicts: test.resolve}))(t)
			var got *types.Addon
			eventually(t, 20*time.Second, string(test.want), func() (bool, string) {
				got = must(a.eks.DescribeAddon(ctx, &ekssdk.DescribeAddonInput{ClusterName: name, AddonName: addon}))(t).Addon
				return got.Status == test.want, string(got.Status)
			})
			if test.code != "" && (len(got.Health.Issues) != 1 || got.Health.Issues[0].Code != test.code) {
				t.Errorf("issues %+v", got.Health.Issues)
			}
			must(a.eks.DeleteAddon(ctx, &ekssdk.DeleteAddonInput{ClusterName: name, AddonName: addon, Preserve: true}))(t)
			eventually(t, 20*time.Second, "add-on gone", func() (bool, string) {
				list := must(a.eks.ListAddons(ctx, &ekssdk.ListAddonsInput{ClusterName: name}))(t).Addons
				return len(list) == 0, fmt.Sprint(list)
			})
		})
	}
	_, err := a.eks.CreateAddon(ctx, &ekssdk.CreateAddonInput{ClusterName: name, AddonName: aws.String("coredns"), ConfigurationValues: aws.String(`{"replicas":2}`)})
	refused(t, err, "InvalidParameterException", "ConfigurationValue provided in request is not supported: Json schema validation failed")

	_, err = a.eks.DeleteCluster(ctx, &ekssdk.DeleteClusterInput{Name: name})
	refused(t, err, "InvalidRequestException", "deletion protection")
	must(a.eks.UpdateClusterConfig(ctx, &ekssdk.UpdateClusterConfigInput{Name: name, DeletionProtection: aws.Bool(false)}))(t)
	eventually(t, 20*time.Second, "cluster deletable", func() (bool, string) {
		_, err := a.eks.DeleteCluster(ctx, &ekssdk.DeleteClusterInput{Name: name})
		return err == nil, fmt.Sprint(err)
	})
	eventually(t, 20*time.Second, "cluster gone", func() (bool, string) {
		list := must(a.eks.ListClusters(ctx, &ekssdk.ListClustersInput{}))(t).Clusters
		return len(list) == 0, fmt.Sprint(list)
	})
}
