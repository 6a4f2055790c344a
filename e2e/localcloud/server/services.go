package server

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"aicluster/e2e/localcloud/autoscaling"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/efs"
	"aicluster/e2e/localcloud/eks"
	"aicluster/e2e/localcloud/elb"
	"aicluster/e2e/localcloud/elbv2"
	"aicluster/e2e/localcloud/events"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/logs"
	"aicluster/e2e/localcloud/s3"
	"aicluster/e2e/localcloud/servicequotas"
	"aicluster/e2e/localcloud/sqs"
	"aicluster/e2e/localcloud/ssm"
	"aicluster/e2e/localcloud/sts"
	"aicluster/e2e/localcloud/wire"
)

// services is everything that the account offers.
type services struct {
	iam         *iam.Service
	sts         *sts.Service
	ec2         *ec2.Service
	autoscaling *autoscaling.Service
	elb         *elb.Service
	elbv2       *elbv2.Service
	efs         *efs.Service
	events      *events.Service
	sqs         *sqs.Service
	logs        *logs.Service
	ssm         *ssm.Service
	quotas      *servicequotas.Service
	eks         *eks.Service
	s3          *s3.Server
}

// newServices makes the services, each from those that it builds on, and
// registers their operations.
func newServices(c *Cloud) (*services, error) {
	var s services
	var err error
	s.s3, err = s3.New(s3.Options{
		Dir: c.path("s3"), Executable: c.opts.Executable, Wire: c.wire,
		Keys:    []s3.Key{{ID: c.key.ID, Secret: c.key.Secret}},
		Log:     c.opts.Log,
		Guard:   c.guard,
		Answer:  c.answer,
		Observe: c.count, Details: c.opts.Record != "",
	})
	if err != nil {
		return nil, err
	}
	c.wire.OnKey(func(k wire.Key) {
		if err := s.s3.AddKey(s3.Key{ID: k.ID, Secret: k.Secret, Token: k.SessionToken}); err != nil {
			c.opts.Log.Error("a key is not known to S3", "error", err)
		}
	})
	s.iam = iam.New(c.clock)
	s.sts = sts.New(s.iam)
	s.ec2 = ec2.New(c.clock, s.iam).EventuallyConsistent()
	s.autoscaling = autoscaling.New(c.clock, s.ec2, s.iam)
	s.elb = elb.New(c.clock, s.ec2, s.iam)
	s.elbv2 = elbv2.New(c.clock, s.ec2, s.iam)
	s.efs = efs.New(c.clock, s.ec2, s.iam)
	s.logs = logs.New()
	s.sqs = sqs.New(c.clock)
	s.events = events.New(s.sqs)
	s.warn()
	s.ssm = ssm.New(s.ec2)
	s.quotas = servicequotas.New(s.ec2)
	s.eks = eks.New(eks.Options{
		Clock: c.clock, IAM: s.iam, EC2: s.ec2, AutoScaling: s.autoscaling, EFS: s.efs, Logs: s.logs,
		SDK: c.sdk, RoleConfig: c.roleConfig, Dir: c.path("clusters"), Executable: c.opts.Executable, Kubeconfig: c.opts.Kubeconfig,
		BaseURL: c.url, WithoutAutoscaler: c.opts.WithoutAutoscaler, Log: c.opts.Log,
		Faults: c.faults,
	})
	s.elbv2.Forward(s.eks.DialInstance)
	s.elb.Forward(s.eks.DialInstance)
	for _, service := range []interface{ Register(*wire.Server) }{s.iam, s.sts, s.ec2, s.autoscaling, s.elb, s.elbv2, s.efs, s.logs, s.sqs, s.events, s.ssm, s.quotas, s.eks} {
		service.Register(c.wire)
	}
	return &s, nil
}

// sdk is how the local cloud itself calls its services.
func (c *Cloud) sdk(region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(c.url),
		Credentials: credentials.NewStaticCredentialsProvider(c.internal.ID, c.internal.Secret, ""),
	}
}

// inventory lists everything that exists in the account, by service.
func (s *services) inventory() map[string][]string {
	all := map[string][]string{}
	for name, service := range map[string]interface{ Inventory() []string }{
		"iam": s.iam, "ec2": s.ec2, "autoscaling": s.autoscaling, "elb": s.elb, "elbv2": s.elbv2, "efs": s.efs, "logs": s.logs, "ssm": s.ssm, "eks": s.eks, "s3": s.s3, "sqs": s.sqs, "events": s.events,
	} {
		all[name] = append([]string{}, service.Inventory()...) // [] rather than null
	}
	return all
}

// close ends the services from the top down: what uses another goes first.
func (s *services) close(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() { stopped <- s.s3.Stop(ctx) }()
	err := errors.Join(s.eks.Close(ctx), s.autoscaling.Close(ctx))
	s.elb.Close()
	s.elbv2.Close()
	s.efs.Close()
	s.ec2.Close()
	return errors.Join(err, <-stopped)
}
