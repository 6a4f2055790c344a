package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// servingPrefix begins the last part of the names of services' roles.
const servingPrefix = "serving-"

// maxServing bounds that part, so that the cluster's name has room beside it.
const maxServing = 30

// ServingRole is what the pods of a service act as: it may read the objects of
// the service's model, and list them, and nothing else. Those who load a model
// (the AWS CLI, Mountpoint, the Run:ai streamer) list with a prefix that ends in
// a slash; so the names of other models stay hidden, too.
func ServingRole(b *blueprints.Blueprint, s blueprints.Service) RoleSpec {
	r := servingRole(b, servingSuffix(s.Name))
	r.ID = "role/" + servingPrefix + s.Name
	if b.Models == nil { // it is only to be found
		return r
	}
	bucket := cloud.Site{Partition: cloud.Partition(b.Metadata.Region)}.S3(b.Models.Bucket)
	r.Inline = map[string]Document{"model": Allow(
		Statement{
			Sid: "List", Action: []string{"s3:ListBucket"}, Resource: []string{bucket},
			Condition: map[string]map[string]any{"StringLike": {"s3:prefix": s.Model + "/*"}},
		},
		Statement{Sid: "Read", Action: []string{"s3:GetObject"}, Resource: []string{bucket + "/" + s.Model + "/*"}},
	)}
	return r
}

// RemovedServingRole is the role of a service that is in the blueprint no more,
// by the last part of its name; see [DiscoverServing].
func RemovedServingRole(b *blueprints.Blueprint, suffix string) RoleSpec {
	r := servingRole(b, suffix)
	r.Inline = map[string]Document{}
	return r
}

func servingRole(b *blueprints.Blueprint, suffix string) RoleSpec {
	return RoleSpec{ID: "role/" + suffix, Name: roleName(b, suffix), Region: b.Metadata.Region, Trust: TrustPods(), PassedTo: []string{podsService}}
}

// servingSuffix is the last part of the role's name; a service's name that is too
// long keeps its head and gets a hash.
func servingSuffix(service string) string {
	suffix := servingPrefix + service
	if len(suffix) <= maxServing {
		return suffix
	}
	sum := sha256.Sum256([]byte(suffix))
	tail := "-" + hex.EncodeToString(sum[:4])
	return suffix[:maxServing-len(tail)] + tail
}

// DiscoverServing lists the services for which there are roles of b's cluster, by
// the last parts of the roles' names, besides those of the blueprint.
func DiscoverServing(ctx context.Context, api iam.ListRolesAPIClient, b *blueprints.Blueprint) ([]string, error) {
	known := map[string]bool{}
	for _, s := range b.Serving {
		known[servingSuffix(s.Name)] = true
	}
	var found []string
	pages := iam.NewListRolesPaginator(api, &iam.ListRolesInput{MaxItems: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Wrap("cluster/"+b.Metadata.Name, "looking for roles of its services", err)
		}
		for _, r := range page.Roles {
			if suffix := servingSuffixOf(b, aws.ToString(r.RoleName)); suffix != "" && !known[suffix] {
				found = append(found, suffix)
			}
		}
	}
	return found, nil
}

// servingSuffixOf is the last part of a role's name if it is one of a service of
// b's cluster. Cluster and service may have the prefix in their own names.
func servingSuffixOf(b *blueprints.Blueprint, name string) string {
	for at := range name {
		if suffix := name[at:]; strings.HasPrefix(suffix, servingPrefix) && len(suffix) <= maxServing && name == roleName(b, suffix) {
			return suffix
		}
	}
	return ""
}
