package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
)

// Version is a Kubernetes version that EKS offers.
type Version struct {
	Name        string // "1.35"
	Default     bool   // what EKS takes when none is asked for
	Extended    bool   // in extended support, which costs extra
	StandardEnd time.Time
	ExtendedEnd time.Time
}

// Versions lists the Kubernetes versions that EKS offers now, newest first.
func Versions(ctx context.Context, api eks.DescribeClusterVersionsAPIClient) ([]Version, error) {
	var versions []Version
	pages := eks.NewDescribeClusterVersionsPaginator(api, &eks.DescribeClusterVersionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Wrap("cluster", "asking which Kubernetes versions EKS offers", err)
		}
		for _, v := range page.ClusterVersions {
			if v.VersionStatus == types.VersionStatusUnsupported {
				continue
			}
			versions = append(versions, Version{
				Name: aws.ToString(v.ClusterVersion), Default: v.DefaultVersion, Extended: v.VersionStatus == types.VersionStatusExtendedSupport,
				StandardEnd: aws.ToTime(v.EndOfStandardSupportDate), ExtendedEnd: aws.ToTime(v.EndOfExtendedSupportDate),
			})
		}
	}
	slices.SortFunc(versions, func(a, b Version) int {
		steps, _ := minorSteps(a.Name, b.Name)
		return steps
	})
	return versions, nil
}

// CheckVersion fails if EKS does not offer a Kubernetes version. The empty
// version stands for EKS's default. Where the endpoint cannot say, the calls
// that take the version have to.
func CheckVersion(ctx context.Context, api eks.DescribeClusterVersionsAPIClient, version string) error {
	if version == "" {
		return nil
	}
	versions, err := Versions(ctx, api)
	if cloud.IsUnsupported(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var names []string
	for _, v := range versions {
		if v.Name == version {
			return nil
		}
		names = append(names, v.Name)
	}
	return cloud.Fail("cluster", "checking cluster.version", fmt.Sprintf("EKS does not offer Kubernetes %s", version), "EKS offers "+strings.Join(names, ", "))
}
