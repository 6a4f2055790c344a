package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// driftUsage is how "drift" is written.
const driftUsage = `usage: drift WHAT CLUSTER REGION [NAME]
of what is the cluster's:
  tag             the tag NAME is taken off everything
  routes          one private default route is gone, another leads nowhere useful
  endpoint        the endpoint for S3 serves no route table any more
  trust           the node role is trusted by another service
  rights          the cluster role has a managed and an inline policy more
  association     the cluster autoscaler's pods have the role NAME
  bucket          the bucket NAME has none of its settings
  silence         load balancers forget silent connections after a minute
and what is nobody's any more, or somebody else's:
  upload          an upload to the bucket NAME was never finished
  versions        the bucket NAME has older versions and delete markers
  interface       the VPC CNI left an interface
  balancer        a load balancer with its target group, and a security group that the nodes' lets in
  volume          a volume whose claim is gone and that Kubernetes did not delete
  profile         an instance profile NAME still has the node role
  unprofile       that instance profile is gone
  nodegroup       somebody made the node group NAME
  ungroup         and deletes it
  role            a role NAME; CLUSTER and REGION do not matter`

// cmdDrift changes something behind aicluster's back, as people and controllers do.
func cmdDrift(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf(driftUsage)
	}
	d := newDrift(of(ts), args[1], args[2], append(args, "")[3])
	kinds := map[string]func() error{
		"tag": d.tag, "routes": d.routes, "endpoint": d.endpoint, "trust": d.trust, "rights": d.rights, "association": d.association,
		"bucket": d.bucket, "silence": d.silence, "upload": d.upload, "versions": d.versions, "interface": d.leftInterface, "balancer": d.balancer, "volume": d.volume, "profile": d.profile, "unprofile": d.unprofile,
		"nodegroup": d.nodegroup, "ungroup": d.ungroup, "role": d.role,
	}
	do := kinds[args[0]]
	if do == nil {
		ts.Fatalf("there is no %s\n%s", args[0], driftUsage)
	}
	ts.Check(do())
}

// drift is one change behind aicluster's back, made as the account's administrator.
type drift struct {
	fixture
	ctx           context.Context
	cluster, name string
	ec2           *ec2.Client
	eks           *eks.Client
	elb           *elasticloadbalancingv2.Client
	iam           *iam.Client
	logs          *cloudwatchlogs.Client
	s3            *s3.Client
	region        string
}

func newDrift(f fixture, cluster, region, name string) drift {
	cfg := f.config(region)
	return drift{
		fixture: f, ctx: context.Background(), cluster: cluster, region: region, name: name,
		ec2: ec2.NewFromConfig(cfg), eks: eks.NewFromConfig(cfg), elb: elasticloadbalancingv2.NewFromConfig(cfg),
		iam: iam.NewFromConfig(f.config("us-east-1")), logs: cloudwatchlogs.NewFromConfig(cfg),
		s3: s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }),
	}
}

// roleName is the name that aicluster gives to one of the cluster's roles.
func (d drift) roleName(suffix string) *string {
	return aws.String(d.cluster + "-" + d.region + "-" + suffix)
}

// tag takes a tag off everything that has it and bears the ownership tag, too.
func (d drift) tag() error {
	var services map[string][]string
	if err := d.get("inventory", &services); err != nil {
		return err
	}
	n := 0
	for service, lines := range services {
		for _, line := range lines {
			t := parseThing(service, line)
			var err error
			if t.tags, err = d.tagsOf(t); err != nil {
				return err
			}
			if _, has := t.tags[d.name]; !has || t.tags[ownershipTag] != d.cluster {
				continue
			}
			if err := d.untag(t); err != nil {
				return fmt.Errorf("%s: %w", line, err)
			}
			n++
		}
	}
	if n == 0 {
		return fmt.Errorf("nothing of %s has the tag %s", d.cluster, d.name)
	}
	return nil
}

func (d drift) untag(t thing) error {
	keys := []string{d.name}
	var err error
	switch t.service {
	case "ec2":
		_, err = d.ec2.DeleteTags(d.ctx, &ec2.DeleteTagsInput{Resources: []string{t.id}, Tags: []ec2types.Tag{{Key: &d.name}}})
	case "eks":
		var arn string
		if arn, _, err = eksThing(d.ctx, d.eks, t); err == nil {
			_, err = d.eks.UntagResource(d.ctx, &eks.UntagResourceInput{ResourceArn: &arn, TagKeys: keys})
		}
	case "iam":
		_, err = d.iam.UntagRole(d.ctx, &iam.UntagRoleInput{RoleName: aws.String(t.id[strings.LastIndex(t.id, "/")+1:]), TagKeys: keys})
	case "logs":
		arn := "arn:aws:logs:" + d.region + ":" + account + ":log-group:" + t.id
		_, err = d.logs.UntagResource(d.ctx, &cloudwatchlogs.UntagResourceInput{ResourceArn: &arn, TagKeys: keys})
	case "s3":
		delete(t.tags, d.name)
		var left []s3types.Tag
		for _, key := range slices.Sorted(maps.Keys(t.tags)) {
			left = append(left, s3types.Tag{Key: &key, Value: aws.String(t.tags[key])})
		}
		_, err = d.s3.PutBucketTagging(d.ctx, &s3.PutBucketTaggingInput{Bucket: &t.id, Tagging: &s3types.Tagging{TagSet: left}})
	}
	return err
}
