package eks

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/informers"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/controllers"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/kube"
)

// maxInterfaces is how many interfaces EKS puts into a cluster's subnets: "two
// to four" (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html).
const maxInterfaces = 4

// create brings a cluster up, from CREATING to ACTIVE or FAILED. What AWS takes
// minutes for runs beside the start of the real control plane.
func (s *Service) create(c *cluster, subnets []ec2.Subnet) {
	s.opts.IAM.EnsureServiceLinkedRole("eks.amazonaws.com")
	err := s.attachNetwork(c, subnets)
	if err == nil {
		group, ctx := errgroup.WithContext(c.ctx)
		group.Go(func() error { return s.clock.Wait(ctx, clock.ClusterCreate) })
		group.Go(func() error { return s.startPlane(ctx, c) })
		err = group.Wait()
	}
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.ctx.Err() == nil {
			c.data.Status = types.ClusterStatusFailed
			c.data.Health.Issues = append(c.data.Health.Issues, types.ClusterIssue{
				Code: types.ClusterIssueCodeInternalFailure, Message: aws.String(err.Error()),
			})
		}
		return
	}
	s.enableLogs(c)
	s.bootstrapAccess(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.data.Endpoint = aws.String(c.plane.Endpoint())
	c.data.CertificateAuthority = &types.Certificate{Data: aws.String(base64.StdEncoding.EncodeToString(c.plane.CA()))}
	c.data.ResourcesVpcConfig.ClusterSecurityGroupId = aws.String(c.group)
	c.data.Status = types.ClusterStatusActive
}

// attachNetwork makes the cluster's security group and the interfaces through
// which the control plane reaches the VPC.
func (s *Service) attachNetwork(c *cluster, subnets []ec2.Subnet) error {
	group, err := s.createClusterGroup(c)
	if err != nil {
		return err
	}
	var ids []string
	for _, sn := range subnets[:min(len(subnets), maxInterfaces)] {
		id, ierr := s.createInterface(c, sn, group)
		if ierr != nil {
			err = ierr
			break
		}
		ids = append(ids, id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.group, c.interfaces = group, ids
	return err
}

// startPlane starts the real control plane, its played controllers and, when
// asked for, the self-managed add-ons.
func (s *Service) startPlane(ctx context.Context, c *cluster) error {
	plane, err := kube.Start(ctx, kube.Options{
		Dir:     filepath.Join(s.opts.Dir, c.key.region, c.key.name),
		Cluster: c.key.name, Version: *c.data.Version, Executable: s.opts.Executable, Kubeconfig: s.opts.Kubeconfig,
		AuthURL: s.webhookURL(c.key), NetworkURL: s.networkURL(c.key), Clock: s.clock,
		Issuer: *c.data.Identity.Oidc.Issuer, ServiceCIDR: *c.data.KubernetesNetworkConfig.ServiceIpv4Cidr,
	})
	if err != nil {
		return err
	}
	watch := informers.NewSharedInformerFactory(plane.Client(), 0)
	nodes := watch.Core().V1().Nodes().Lister()
	watch.Start(c.ctx.Done())
	c.work.Go(func() { <-c.ctx.Done(); watch.Shutdown() })
	s.mu.Lock()
	c.plane, c.kubeNodes = plane, nodes
	s.mu.Unlock()
	if c.selfCNI {
		if err := s.installSelfManaged(ctx, c); err != nil {
			return err
		}
	}
	options := controllers.Options{
		Config: plane.Admin(), Clock: s.clock, Cluster: c.key.name, Network: c.network,
		HookFails: s.opts.Faults.HookFails,
		PodTrouble: func(namespace, pod string) (kube.Trouble, bool) {
			f, ok := s.opts.Faults.OfPod(c.key.name, namespace, pod)
			return kube.Trouble{Kind: string(f.Kind), Container: f.Container, Answers: f.Answers, Message: f.Message}, ok
		},
		NodeFacts: func(node string) (controllers.Facts, bool) { return s.nodeFacts(c, node) },
	}
	if s.opts.SDK != nil {
		vpc := c.data.ResourcesVpcConfig
		if options.Cloud, err = newCloudProvider(s.opts.SDK(c.key.region), c.key.name, *vpc.VpcId, vpc.SubnetIds[0]); err != nil {
			return err
		}
	}
	if s.opts.RoleConfig != nil {
		if !s.opts.WithoutAutoscaler {
			options.Autoscaler = &controllers.AutoscalerOptions{Log: s.opts.Log.With("cluster", c.key.name), AWS: func(namespace, account, node string) (aws.Config, error) {
				return s.podConfig(c, namespace, account, node)
			}}
		}
		options.Volumes = func(ctx context.Context) (controllers.VolumeAPI, error) { return s.volumeAPI(ctx, c) }
		options.Logs = func(_ context.Context, namespace, account, node string) (controllers.LogsAPI, error) {
			cfg, err := s.podConfig(c, namespace, account, node)
			return cloudwatchlogs.NewFromConfig(cfg), err
		}
		if s.opts.EFS != nil {
			options.PodStarts = podStarts{s, c}
		}
	}
	c.work.Go(func() { s.runControllers(c, options) })
	c.work.Go(func() { s.welcomeGuests(c) })
	return nil
}

// runControllers keeps the played controllers running as long as the cluster is.
func (s *Service) runControllers(c *cluster, o controllers.Options) {
	for c.ctx.Err() == nil {
		if err := controllers.Run(c.ctx, o); err == nil || !s.pause(c.ctx, 5*time.Second) {
			return
		}
	}
}

// enableLogs makes the log group of a cluster that logs, if it is not there.
func (s *Service) enableLogs(c *cluster) {
	s.mu.Lock()
	on := logs(c.data.Logging)
	s.mu.Unlock()
	if on && s.opts.Logs != nil {
		s.opts.Logs.EnsureLogGroup(c.key.region, "/aws/eks/"+c.key.name+"/cluster")
	}
}

// delete takes a cluster away. Load balancers, log groups and whatever its
// controllers made in the account stay, as in AWS.
func (s *Service) delete(c *cluster) {
	c.stop()
	c.work.Wait()
	s.mu.Lock()
	plane, ids, group := c.plane, c.interfaces, c.group
	c.plane, c.interfaces = nil, nil
	s.mu.Unlock()
	var stopped error
	if plane != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 20*time.Second)
		stopped = plane.Stop(ctx)
		cancel()
	}
	if s.clock.Wait(s.ctx, clock.ClusterDelete) != nil {
		return
	}
	s.enableLogs(c) // it logs until it is gone
	for _, id := range ids {
		s.opts.EC2.DeleteInterface(c.key.region, id)
	}
	// A group that something still uses stays behind, as EKS leaves it.
	err := errors.Join(stopped, s.deleteClusterGroup(c.key.region, group))
	s.mu.Lock()
	if err != nil {
		c.data.Health.Issues = append(c.data.Health.Issues, types.ClusterIssue{
			Code: types.ClusterIssueCodeOther, Message: aws.String(fmt.Sprintf("deletion: %v", err)),
		})
	}
	delete(s.clusters, c.key)
	s.mu.Unlock()
	// The last lines come late and make a group that was deleted meanwhile again,
	// without tags (terraform-aws-modules/terraform-aws-eks#920, #2763).
	if s.clock.Wait(s.ctx, clock.LateLogWrite) == nil {
		s.enableLogs(c)
	}
}
