package eks

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/kube"
)

// defaultVersion is what CreateCluster takes when no version is named.
const defaultVersion = "1.35"

// version is one row of the EKS release calendar
// (https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html).
// The dates of 1.36 follow the rule of 14 and 12 months from its first AMIs.
type version struct {
	minor, platform                      string
	released, endOfStandard, endOfExtend string // YYYY-MM-DD
}

func versions() []version {
	return []version{
		{"1.36", "eks.5", "2026-06-10", "2027-08-10", "2028-08-10"},
		{"1.35", "eks.12", "2026-01-27", "2027-03-27", "2028-03-27"},
		{"1.34", "eks.21", "2025-10-02", "2026-12-02", "2027-12-02"},
		{"1.33", "eks.31", "2025-05-29", "2026-07-29", "2027-07-29"},
		{"1.32", "eks.38", "2025-01-23", "2026-03-23", "2027-03-23"},
		{"1.31", "eks.55", "2024-09-26", "2025-11-26", "2026-11-26"},
	}
}

func findVersion(minor string) (version, bool) {
	for _, v := range versions() {
		if v.minor == minor {
			return v, true
		}
	}
	return version{}, false
}

func date(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err) // a mistake in the table above
	}
	return t
}

// status is the version's support at a time.
func (v version) status(at time.Time) types.VersionStatus {
	switch {
	case at.Before(date(v.endOfStandard)):
		return types.VersionStatusStandardSupport
	case at.Before(date(v.endOfExtend)):
		return types.VersionStatusExtendedSupport
	}
	return types.VersionStatusUnsupported
}

// number is the minor as a number, 35 for 1.35; 0 when it is none.
func number(minor string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(minor, "1."))
	return n
}

// DescribeClusterVersions lists the Kubernetes versions of EKS, newest first.
func (s *Service) DescribeClusterVersions(_ context.Context, in *eks.DescribeClusterVersionsInput) (*eks.DescribeClusterVersionsOutput, error) {
	for _, want := range in.ClusterVersions {
		if _, ok := findVersion(want); !ok {
			return nil, invalidParameter("", "", "unsupported Kubernetes version %s", want)
		}
	}
	out := &eks.DescribeClusterVersionsOutput{}
	for _, v := range versions() {
		status := v.status(time.Now())
		old := types.ClusterVersionStatus(strings.ReplaceAll(strings.ToLower(string(status)), "_", "-"))
		named := slices.Contains(in.ClusterVersions, v.minor)
		switch {
		case len(in.ClusterVersions) > 0 && !named,
			deref(in.DefaultOnly) && v.minor != defaultVersion,
			in.VersionStatus != "" && in.VersionStatus != status,
			in.Status != "" && in.Status != old:
			continue
		case status == types.VersionStatusUnsupported && !deref(in.IncludeAll) && !named && in.VersionStatus == "" && in.Status == "":
			continue
		}
		release, _ := kube.ReleaseOf(v.minor)
		out.ClusterVersions = append(out.ClusterVersions, types.ClusterVersionInformation{
			ClusterType:              aws.String("eks"),
			ClusterVersion:           aws.String(v.minor),
			DefaultPlatformVersion:   aws.String(v.platform),
			DefaultVersion:           v.minor == defaultVersion,
			KubernetesPatchVersion:   aws.String(release.Patch),
			ReleaseDate:              aws.Time(date(v.released)),
			EndOfStandardSupportDate: aws.Time(date(v.endOfStandard)),
			EndOfExtendedSupportDate: aws.Time(date(v.endOfExtend)),
			Status:                   old,
			VersionStatus:            status,
		})
	}
	return out, nil
}
