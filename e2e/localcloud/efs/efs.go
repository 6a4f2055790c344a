// Package efs plays Amazon Elastic File System as far as clusters meet it: file
// systems and their mount targets, whose network interfaces hold subnets and
// security groups of a VPC. No file is stored.
//
// Rules and errors are those of the EFS API reference; a rule that comes from
// elsewhere names its source.
package efs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/later"
	"aicluster/e2e/localcloud/wire"
)

// Service is EFS of all regions.
type Service struct {
	clock *clock.Clock
	ec2   *ec2.Service
	iam   *iam.Service
	later later.Queue

	// mu guards all below. EC2 may be called with it held: it does not call back.
	mu      sync.Mutex
	systems map[string]*fileSystem // by id, which is unique in all regions
	targets map[string]*mountTarget
}

// New returns a service without file systems.
func New(c *clock.Clock, e *ec2.Service, i *iam.Service) *Service {
	return &Service{clock: c, ec2: e, iam: i, systems: map[string]*fileSystem{}, targets: map[string]*mountTarget{}}
}

// Close stops what is under way.
func (s *Service) Close() { s.later.Close() }

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("efs", "efs", goFiles)
	handle(w, s.createFileSystem)
	handle(w, s.describeFileSystems)
	handle(w, s.deleteFileSystem)
	handle(w, s.createMountTarget)
	handle(w, s.describeMountTargets)
	handle(w, s.describeMountTargetSecurityGroups)
	handle(w, s.deleteMountTarget)
	handle(w, s.tagResource)
	handle(w, s.untagResource)
	handle(w, s.listTags)
}

func handle[I, O any](w *wire.Server, f func(context.Context, *I) (*O, error)) {
	wire.Handle(w, "efs", f)
}

// Inventory lists file systems and mount targets, sorted, as "efs/type region/id name".
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for id, f := range s.systems {
		list = append(list, fmt.Sprintf("efs/file-system %s/%s %s", f.region, id, f.tags["Name"]))
	}
	for id, m := range s.targets {
		list = append(list, fmt.Sprintf("efs/mount-target %s/%s %s", m.system.region, id, m.system.id))
	}
	slices.Sort(list)
	return list
}

// MountTarget is the file system that a mount target belongs to.
func (s *Service) MountTarget(id string) (fileSystem string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.targets[id]
	if !ok {
		return "", false
	}
	return m.system.id, true
}

// ARN is the ARN of a file system.
func ARN(region, id string) string {
	return "arn:aws:elasticfilesystem:" + region + ":" + wire.AccountID + ":file-system/" + id
}

// system finds a file system by id or ARN; the caller holds s.mu.
func (s *Service) system(ctx context.Context, id *string) (*fileSystem, error) {
	short := aws.ToString(id)
	short = short[strings.LastIndexByte(short, '/')+1:]
	f, ok := s.systems[short]
	if !ok || f.region != wire.Region(ctx) {
		return nil, &types.FileSystemNotFound{ErrorCode_: aws.String("FileSystemNotFound"), Message: text("File system '%s' does not exist.", short)}
	}
	return f, nil
}

// step runs f, with s.mu held, when a step of the profile has passed.
func (s *Service) step(step clock.Step, f func()) {
	s.later.After(s.clock.Duration(step), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
	})
}

func badRequest(format string, args ...any) error {
	return &types.BadRequest{ErrorCode_: aws.String("BadRequest"), Message: text(format, args...)}
}

func text(format string, args ...any) *string { return aws.String(fmt.Sprintf(format, args...)) }

// newID returns an id of the long form: prefix, "0" and 16 hexadecimal digits.
func newID(prefix string) string {
	b := make([]byte, 8)
	rand.Read(b)
	return prefix + "-0" + hex.EncodeToString(b)
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
