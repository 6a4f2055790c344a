package efs

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/efs/types"
)

// What is stored is known by its folders only: EFS's clients make them, and mount
// them. The root is always there.

// Folder tells whether a file system has a folder, and what was last written there.
func (s *Service) Folder(region, id, path string) (content string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.systems[id]
	if f == nil || f.region != region {
		return "", false
	}
	path = strings.Trim(path, "/")
	content, ok = f.folders[path]
	return content, ok || path == ""
}

// Write puts content of some bytes into a folder of a file system.
func (s *Service) Write(region, id, path, content string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.systems[id]
	if f == nil || f.region != region {
		return
	}
	if f.folders == nil {
		f.folders, f.sizes = map[string]string{}, map[string]int64{}
	}
	path = strings.Trim(path, "/")
	f.folders[path], f.sizes[path] = content, bytes
}

// Target finds the security groups of a file system's mount target in a zone, if it
// is one that answers.
func (s *Service) Target(region, id, zone string) (groups []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.systems[id]
	if f == nil || f.region != region {
		return nil, false
	}
	for _, m := range s.targetsOf(f) {
		if m.subnet.Zone == zone && m.state == types.LifeCycleStateAvailable {
			return slices.Clone(m.eni.Groups), true
		}
	}
	return nil, false
}
