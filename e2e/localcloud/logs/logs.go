// Package logs plays what clusters need of Amazon CloudWatch Logs: log groups,
// their retention and their tags, and the streams in them with their events.
package logs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"aicluster/e2e/localcloud/wire"
)

// Service is CloudWatch Logs of all regions.
type Service struct {
	mu     sync.Mutex
	groups map[key]*group
}

type key struct{ region, name string }

type group struct {
	created   time.Time
	retention *int32
	class     types.LogGroupClass
	kmsKey    *string
	protected bool
	tags      map[string]string
	streams   map[string]*stream
	bytes     int64 // of all events
}

// maxTags is how many tags a log group may have (API reference of TagResource).
const maxTags = 50

func invalid(format string, args ...any) error {
	return &types.InvalidParameterException{Message: aws.String(fmt.Sprintf(format, args...))}
}

// checkTags refuses what the model's patterns let through; have are the tags that
// are there.
func checkTags(tags, have map[string]string) error {
	all := maps.Clone(have)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range tags {
		if strings.HasPrefix(strings.ToLower(k), "aws:") { // words not found
			return invalid("aws: prefixed tag key names are not allowed for external use.")
		}
		all[k] = v
	}
	if len(all) > maxTags {
		return &types.TooManyTagsException{Message: aws.String(fmt.Sprintf("A resource can have no more than %d tags.", maxTags))}
	}
	return nil
}

// New returns a service without log groups.
func New() *Service { return &Service{groups: map[key]*group{}} }

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("logs", "cloudwatchlogs", goFiles)
	wire.Handle(w, "logs", s.createLogGroup)
	wire.Handle(w, "logs", s.describeLogGroups)
	wire.Handle(w, "logs", s.deleteLogGroup)
	wire.Handle(w, "logs", s.putRetentionPolicy)
	wire.Handle(w, "logs", s.deleteRetentionPolicy)
	wire.Handle(w, "logs", s.createLogStream)
	wire.Handle(w, "logs", s.deleteLogStream)
	wire.Handle(w, "logs", s.describeLogStreams)
	wire.Handle(w, "logs", s.putLogEvents)
	wire.Handle(w, "logs", s.filterLogEvents)
	wire.Handle(w, "logs", s.tagResource)
	wire.Handle(w, "logs", s.untagResource)
	wire.Handle(w, "logs", s.listTagsForResource)
}

// EnsureLogGroup makes a log group unless it is there, as services do when they
// write to it; so EKS makes /aws/eks/NAME/cluster.
func (s *Service) EnsureLogGroup(region, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := (key{region, name}); s.groups[k] == nil {
		s.groups[k] = &group{created: time.Now(), class: types.LogGroupClassStandard, tags: map[string]string{}}
	}
}

// Inventory lists the log groups, sorted, as "logs/log-group region name".
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for k := range s.groups {
		list = append(list, fmt.Sprintf("logs/log-group %s %s", k.region, k.name))
	}
	slices.Sort(list)
	return list
}

func (k key) arn() string {
	return "arn:aws:logs:" + k.region + ":" + wire.AccountID + ":log-group:" + k.name
}

func missing() error {
	return &types.ResourceNotFoundException{Message: aws.String("The specified log group does not exist.")}
}

// find finds a group by its name or its ARN, with or without ":*" at the end.
func (s *Service) find(ctx context.Context, nameOrARN string) (key, *group, error) {
	k := key{wire.Region(ctx), nameOrARN}
	if strings.HasPrefix(nameOrARN, "arn:") {
		_, k.name, _ = strings.Cut(strings.TrimSuffix(nameOrARN, ":*"), ":log-group:")
	}
	g := s.groups[k]
	if g == nil {
		return k, nil, missing()
	}
	return k, g, nil
}

func (s *Service) createLogGroup(ctx context.Context, in *logs.CreateLogGroupInput) (*logs.CreateLogGroupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{wire.Region(ctx), *in.LogGroupName}
	if s.groups[k] != nil {
		return nil, &types.ResourceAlreadyExistsException{Message: aws.String("The specified log group already exists")}
	}
	if strings.HasPrefix(k.name, "aws/") {
		return nil, invalid("Log groups starting with AWS/ are reserved for AWS.")
	}
	if in.KmsKeyId != nil { // the account has no keys (API reference of AssociateKmsKey; words not found)
		return nil, invalid("The specified KMS key %s does not exist or is not allowed to be used.", *in.KmsKeyId)
	}
	if err := checkTags(in.Tags, nil); err != nil {
		return nil, err
	}
	g := &group{created: time.Now(), class: in.LogGroupClass, protected: aws.ToBool(in.DeletionProtectionEnabled), tags: maps.Clone(in.Tags)}
	if g.class == "" {
		g.class = types.LogGroupClassStandard
	}
	if g.tags == nil {
		g.tags = map[string]string{}
	}
	s.groups[k] = g
	return &logs.CreateLogGroupOutput{}, nil
}

func (s *Service) describeLogGroups(ctx context.Context, in *logs.DescribeLogGroupsInput) (*logs.DescribeLogGroupsOutput, error) {
	if in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &logs.DescribeLogGroupsOutput{LogGroups: []types.LogGroup{}}
	for k, g := range s.groups {
		pattern := strings.ToLower(aws.ToString(in.LogGroupNamePattern))
		if k.region != wire.Region(ctx) || !strings.HasPrefix(k.name, aws.ToString(in.LogGroupNamePrefix)) || !strings.Contains(strings.ToLower(k.name), pattern) {
			continue
		}
		if in.LogGroupClass != "" && in.LogGroupClass != g.class {
			continue
		}
		out.LogGroups = append(out.LogGroups, types.LogGroup{
			LogGroupName: aws.String(k.name), Arn: aws.String(k.arn() + ":*"), LogGroupArn: aws.String(k.arn()), CreationTime: aws.Int64(g.created.UnixMilli()),
			RetentionInDays: g.retention, LogGroupClass: g.class, KmsKeyId: g.kmsKey, DeletionProtectionEnabled: aws.Bool(g.protected), MetricFilterCount: aws.Int32(0), StoredBytes: aws.Int64(g.bytes),
		})
	}
	slices.SortFunc(out.LogGroups, func(a, b types.LogGroup) int { return strings.Compare(*a.LogGroupName, *b.LogGroupName) })
	return out, nil
}

func (s *Service) deleteLogGroup(ctx context.Context, in *logs.DeleteLogGroupInput) (*logs.DeleteLogGroupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, g, err := s.find(ctx, *in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if g.protected { // CloudWatch Logs user guide, "Protecting log groups from deletion"
		return nil, &types.ValidationException{Message: aws.String("Cannot delete log group with deletion protection enabled. Disable deletion protection first.")}
	}
	delete(s.groups, k)
	return &logs.DeleteLogGroupOutput{}, nil
}

// retentions are the days that PutRetentionPolicy allows (its API reference).
func retentions() []int32 {
	return []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}

func (s *Service) putRetentionPolicy(ctx context.Context, in *logs.PutRetentionPolicyInput) (*logs.PutRetentionPolicyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.find(ctx, *in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(retentions(), *in.RetentionInDays) {
		return nil, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: %v", *in.RetentionInDays, retentions())
	}
	g.retention = aws.Int32(*in.RetentionInDays)
	return &logs.PutRetentionPolicyOutput{}, nil
}

func (s *Service) deleteRetentionPolicy(ctx context.Context, in *logs.DeleteRetentionPolicyInput) (*logs.DeleteRetentionPolicyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.find(ctx, *in.LogGroupName)
	if err != nil {
		return nil, err
	}
	g.retention = nil
	return &logs.DeleteRetentionPolicyOutput{}, nil
}

func (s *Service) tagResource(ctx context.Context, in *logs.TagResourceInput) (*logs.TagResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.find(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, g.tags); err != nil {
		return nil, err
	}
	maps.Copy(g.tags, in.Tags)
	return &logs.TagResourceOutput{}, nil
}

func (s *Service) untagResource(ctx context.Context, in *logs.UntagResourceInput) (*logs.UntagResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.find(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(g.tags, k)
	}
	return &logs.UntagResourceOutput{}, nil
}

func (s *Service) listTagsForResource(ctx context.Context, in *logs.ListTagsForResourceInput) (*logs.ListTagsForResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.find(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &logs.ListTagsForResourceOutput{Tags: maps.Clone(g.tags)}, nil
}
