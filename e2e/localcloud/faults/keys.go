package faults

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// key is one key of a fault.
type key struct {
	name  string
	into  func(*Fault) any     // *string, *int, *bool, *float64 or *time.Duration
	check func(f *Fault) error // of its value alone; nil if any will do
}

// keys are all that there are, by what they are about.
func keys() []key {
	return []key{
		{"name", func(f *Fault) any { return &f.Name }, func(f *Fault) error { return like(f.Name, faultName) }},
		{"kind", func(f *Fault) any { return (*string)(&f.Kind) }, func(f *Fault) error { return oneOf(string(f.Kind), kindNames()...) }},
		{"service", func(f *Fault) any { return &f.Service }, func(f *Fault) error { return pattern(f.Service) }},
		{"operation", func(f *Fault) any { return &f.Operation }, func(f *Fault) error { return pattern(f.Operation) }},
		{"mutating", func(f *Fault) any { return &f.Mutating }, nil},
		{"skip", func(f *Fault) any { return &f.Skip }, func(f *Fault) error { return atLeast(f.Skip, 0) }},
		{"count", func(f *Fault) any { return &f.Count }, func(f *Fault) error { return atLeast(f.Count, 0) }},
		{"before", func(f *Fault) any { return &f.Before }, nil},
		{"delay", func(f *Fault) any { return &f.Delay }, func(f *Fault) error { return atLeast(int(f.Delay), 1) }},
		{"code", func(f *Fault) any { return &f.Code }, func(f *Fault) error { return like(f.Code, errorCode) }},
		{"message", func(f *Fault) any { return &f.Message }, nil},
		{"status", func(f *Fault) any { return &f.Status }, func(f *Fault) error { return between(f.Status, 400, 599) }},
		{"region", func(f *Fault) any { return &f.Region }, nil},
		{"instanceType", func(f *Fault) any { return &f.InstanceType }, nil},
		{"zone", func(f *Fault) any { return &f.Zone }, nil},
		{"market", func(f *Fault) any { return &f.Market }, func(f *Fault) error { return oneOf(f.Market, "on-demand", "spot") }},
		{"quota", func(f *Fault) any { return &f.Quota }, func(f *Fault) error { return like(f.Quota, quotaCode) }},
		{"value", func(f *Fault) any { return &f.Value }, func(f *Fault) error { return atLeast(int(f.Value), 0) }},
		{"amiType", func(f *Fault) any { return &f.AMIType }, func(f *Fault) error { return pattern(f.AMIType) }},
		{"releaseVersion", func(f *Fault) any { return &f.ReleaseVersion }, func(f *Fault) error { return pattern(f.ReleaseVersion) }},
		{"breaks", func(f *Fault) any { return &f.Breaks }, func(f *Fault) error { return oneOf(f.Breaks, DevicePlugin, Kubelet) }},
		{"cluster", func(f *Fault) any { return &f.Cluster }, func(f *Fault) error { return pattern(f.Cluster) }},
		{"nodeGroup", func(f *Fault) any { return &f.NodeGroup }, func(f *Fault) error { return pattern(f.NodeGroup) }},
		{"instance", func(f *Fault) any { return &f.Instance }, nil},
		{"nodes", func(f *Fault) any { return &f.Nodes }, func(f *Fault) error { return atLeast(f.Nodes, 0) }},
		{"gpus", func(f *Fault) any { return &f.GPUs }, func(f *Fault) error { return atLeast(f.GPUs, 1) }},
		{"release", func(f *Fault) any { return &f.Release }, func(f *Fault) error { return pattern(f.Release) }},
		{"hook", func(f *Fault) any { return &f.Hook }, func(f *Fault) error { return pattern(f.Hook) }},
		{"hangs", func(f *Fault) any { return &f.Hangs }, nil},
		{"namespace", func(f *Fault) any { return &f.Namespace }, func(f *Fault) error { return pattern(f.Namespace) }},
		{"pod", func(f *Fault) any { return &f.Pod }, func(f *Fault) error { return pattern(f.Pod) }},
		{"container", func(f *Fault) any { return &f.Container }, nil},
		{"answers", func(f *Fault) any { return &f.Answers }, func(f *Fault) error { return oneOf(f.Answers, NotFound, Denied, TooMany) }},
		{"after", func(f *Fault) any { return &f.After }, func(f *Fault) error { return atLeast(int(f.After), 0) }},
		{"times", func(f *Fault) any { return &f.Times }, func(f *Fault) error { return atLeast(int(f.Times), 1) }},
	}
}

// kind says which keys faults of a kind have beside name and kind, and which of
// those each must have; of a group with "|" one will do.
type kind struct {
	name     Kind
	keys     string
	required string
}

const ofCalls = "service operation mutating skip count"

const ofPods = "cluster namespace pod container"

func kinds() []kind {
	return []kind{
		{Throttle, ofCalls, ""},
		{Error, ofCalls + " code message status", "code|status"},
		{LoseReply, ofCalls, ""},
		{Slow, ofCalls + " delay", "delay"},
		{Hold, ofCalls + " before", ""},
		{Capacity, "region instanceType zone market count", "instanceType"},
		{Quota, "region quota value", "quota"},
		{BadAMI, "amiType releaseVersion breaks", "amiType|releaseVersion"},
		{NodesNeverJoin, "cluster nodeGroup", ""},
		{BrokenGPU, "gpus instance nodes", ""},
		{HookFails, "release hook hangs", "release"},
		{SpotInterruption, "cluster nodeGroup instance count after", ""},
		{IAMLate, "times", "times"},
		{ImagePull, ofPods + " answers", "pod"},
		{Crash, ofPods + " message", "pod"},
		{OOM, ofPods, "pod"},
	}
}

func kindNames() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, string(k.name))
	}
	return names
}

// has tells whether faults of the kind have a key.
func (k kind) has(key string) bool {
	return key == "name" || key == "kind" || slices.Contains(strings.Fields(k.keys), key)
}

var (
	faultName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	errorCode = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.]*$`)
	quotaCode = regexp.MustCompile(`^L-[0-9A-F]{8}$`)
)

func like(s string, r *regexp.Regexp) error {
	if !r.MatchString(s) {
		return fmt.Errorf("%q does not match %s", s, r)
	}
	return nil
}

func pattern(s string) error {
	if _, err := path.Match(s, ""); err != nil {
		return fmt.Errorf("%q is not a pattern: %w", s, err)
	}
	return nil
}

func oneOf(s string, allowed ...string) error {
	if slices.Contains(allowed, s) {
		return nil
	}
	if meant := nearest(s, allowed); meant != "" {
		return fmt.Errorf("%q is not known, did you mean %s", s, meant)
	}
	return fmt.Errorf("%q is none of %s", s, strings.Join(allowed, ", "))
}

func atLeast(n, least int) error {
	if n < least {
		return fmt.Errorf("%d is too small", n)
	}
	return nil
}

func between(n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("%d is not between %d and %d", n, least, most)
	}
	return nil
}

// wanted is what a value should have been.
func wanted(into any) string {
	switch into.(type) {
	case *int:
		return "a whole number"
	case *float64:
		return "a number"
	case *bool:
		return "true or false"
	case *time.Duration:
		return "a duration such as 90s or 15m"
	}
	return "a text"
}
