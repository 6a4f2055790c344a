package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	utilversion "k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"
	utilfeature "k8s.io/apiserver/pkg/util/feature"

	apicompat "k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/component-base/compatibility"
)

// Release is one Kubernetes version that EKS offers.
type Release struct {
	Minor string // "1.35"
	Patch string // "1.35.6", the kubernetesPatchVersion of DescribeClusterVersions
	// Emulated is the version whose APIs and feature gates the API server
	// serves. The binary is 1.37 and emulates the three minors before it; an
	// older one is reported by its own name but behaves like the oldest of those.
	Emulated string
	git      string // the suffix of EKS's gitVersion
}

// GitVersion is what /version reports, with EKS's suffix: v1.35.6-eks-2f8c1a7.
func (r Release) GitVersion() string { return "v" + r.Patch + "-eks-" + r.git }

// releases are the versions in EKS's standard and extended support in November
// 2026, and 1.37, the binary's own. Patch levels are EKS's as of then, as far as
// known; the suffix is made up, as EKS's changes with every platform version.
func releases() map[string]Release {
	out := map[string]Release{}
	for _, r := range []Release{
		{Minor: "1.31", Patch: "1.31.14", Emulated: "1.34", git: "bbe087e"},
		{Minor: "1.32", Patch: "1.32.13", Emulated: "1.34", git: "3025e55"},
		{Minor: "1.33", Patch: "1.33.11", Emulated: "1.34", git: "ac2d5a0"},
		{Minor: "1.34", Patch: "1.34.8", Emulated: "1.34", git: "7cf2a9e"},
		{Minor: "1.35", Patch: "1.35.5", Emulated: "1.35", git: "2f8c1a7"},
		{Minor: "1.36", Patch: "1.36.2", Emulated: "1.36", git: "61d0b3c"},
		{Minor: "1.37", Patch: "1.37.2", Emulated: "1.37", git: "94ab1e0"},
	} {
		out[r.Minor] = r
	}
	return out
}

// ReleaseOf returns the release of a minor version such as "1.35".
func ReleaseOf(minor string) (Release, bool) {
	r, ok := releases()[minor]
	return r, ok
}

func release(minor string) (Release, error) {
	r, ok := ReleaseOf(minor)
	if !ok {
		return r, fmt.Errorf("unsupported Kubernetes version %s, have %s",
			minor, strings.Join(slices.Sorted(maps.Keys(releases())), ", "))
	}
	return r, nil
}

// reportedVersion is the effective version of the binary that introduces itself
// as another release. Only what /version says comes from Info; feature gates and
// APIs follow the emulation version.
type reportedVersion struct {
	compatibility.MutableEffectiveVersion
	info apiversion.Info
}

func (v reportedVersion) Info() *apiversion.Info {
	info := v.info
	return &info
}

// reportAs makes every component of this process report the release. It must
// come before any component's options are made.
func reportAs(r Release) error {
	effective := apicompat.DefaultBuildEffectiveVersion()
	info := *effective.Info()
	v, err := utilversion.ParseSemantic(r.Patch)
	if err != nil {
		return err
	}
	info.GitVersion = r.GitVersion()
	info.GitTreeState = "clean"
	info.Major, info.Minor = fmt.Sprint(v.Major()), fmt.Sprint(v.Minor())
	info.EmulationMajor, info.EmulationMinor = info.Major, info.Minor
	info.MinCompatibilityMajor, info.MinCompatibilityMinor = info.Major, fmt.Sprint(v.Minor()-1)

	registry := apicompat.DefaultComponentGlobalsRegistry
	registry.Reset()
	return registry.Register(compatibility.DefaultKubeComponent,
		reportedVersion{effective, info}, utilfeature.DefaultMutableFeatureGate)
}
