// Package cloud is the seam to AWS: the SDK's clients made once from the
// ordinary AWS settings, the tags that mark what we own, waiting, and what an
// AWS error means.
//
// Packages that use AWS declare the narrow interface they need and take the
// SDK client that fits it from [Clients].
package cloud

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// Clients are the SDK's clients for one account and region; the larger ones cut
// down to what is called ([op]).
type Clients struct {
	Region string

	AutoScaling *autoScalingCalls
	EC2         *ec2Calls
	EFS         *efsCalls
	EKS         *eks.Client
	Events      *eventsCalls
	ELB         *elbCalls
	ClassicELB  *classicELBCalls
	IAM         *iamCalls
	Logs        *logsCalls
	S3          *s3.Client
	SQS         *sqsCalls
	STS         *sts.Client

	config aws.Config
	calls  Calls
}

// Calls counts requests that were sent, retries not included. Safe for
// concurrent use.
type Calls struct{ reads, writes atomic.Int64 }

// Reads is the number of calls that change nothing.
func (c *Calls) Reads() int64 { return c.reads.Load() }

// Writes is the number of mutating calls.
func (c *Calls) Writes() int64 { return c.writes.Load() }

// Count adds one call. Callers outside the AWS SDK (Kubernetes, Helm) report theirs here.
func (c *Calls) Count(mutating bool) {
	if mutating {
		c.writes.Add(1)
		return
	}
	c.reads.Add(1)
}

// New makes the clients from the environment, shared configuration and
// credential chain that the AWS CLI uses too. It makes no call. version goes
// into the user agent.
func New(ctx context.Context, region, version string) (*Clients, error) {
	c := &Clients{Region: region}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(region),
		config.WithRetryer(newRetryer),
		config.WithLogger(logging.Nop{}), // its warnings would stand between our own lines
		config.WithAPIOptions(apiOptions(&c.calls, version)),
	)
	if err != nil {
		return nil, &Error{Resource: "credentials", Doing: "reading the AWS configuration", Message: err.Error(), Err: err,
			Hint: "check AWS_PROFILE and the files ~/.aws/config and ~/.aws/credentials"}
	}
	c.config = cfg
	c.AutoScaling = newAutoScalingCalls(autoscaling.NewFromConfig(cfg))
	c.EC2 = newEC2Calls(ec2.NewFromConfig(cfg))
	c.EFS = newEFSCalls(efs.NewFromConfig(cfg))
	c.EKS = eks.NewFromConfig(cfg)
	c.Events = newEventsCalls(eventbridge.NewFromConfig(cfg))
	c.ClassicELB = newClassicELBCalls(elasticloadbalancing.NewFromConfig(cfg))
	c.ELB = newELBCalls(elasticloadbalancingv2.NewFromConfig(cfg))
	c.IAM = newIAMCalls(iam.NewFromConfig(cfg))
	c.Logs = newLogsCalls(cloudwatchlogs.NewFromConfig(cfg))
	c.S3 = s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil })
	c.SQS = newSqsCalls(sqs.NewFromConfig(cfg))
	c.STS = sts.NewFromConfig(cfg)
	return c, nil
}

// Calls counts the requests that these clients sent.
func (c *Clients) Calls() *Calls { return &c.calls }

// Identity is who the credentials belong to.
type Identity struct {
	Account string // twelve digits
	ARN     string
}

// identityAttempts bounds the first call of a run: where it fails, a person
// waits, and nothing is lost by failing soon.
const identityAttempts = 3

// Identity asks STS whose credentials these are. It is the cheapest proof that
// they work at all; its error says what to do when they do not.
func (c *Clients) Identity(ctx context.Context) (Identity, error) {
	out, err := c.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) {
		o.Retryer = retry.AddWithMaxAttempts(o.Retryer, identityAttempts)
	})
	if err != nil {
		return Identity{}, Wrap("credentials", "asking AWS whose they are", err)
	}
	return Identity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}, nil
}

// requestID finds the id that AWS gave to a failed request.
func requestID(err error) string {
	var withID interface{ ServiceRequestID() string }
	if errors.As(err, &withID) {
		return withID.ServiceRequestID()
	}
	return ""
}
