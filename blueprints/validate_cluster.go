package blueprints

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// longestRole is the longest suffix of the roles' names, <name>-<region>-….
const longestRole = "-cluster-autoscaler"

// maxRoleName is IAM's limit (API CreateRole, RoleName).
const maxRoleName = 64

func validateMetadata(d *document, b *Blueprint) {
	name, region := b.Metadata.Name, b.Metadata.Region
	validateRegion(d, region)
	if limit := maxRoleName - len("-"+region+longestRole); d.given("metadata.name", "metadata.region") && len(name) > limit {
		d.errorf("metadata.name", "the longest role is named "+name+"-"+region+longestRole+", and IAM allows 64 characters",
			"name has %d characters; in %s at most %d are possible", len(name), region, limit)
	}
	validateTags(d, b.Metadata.Tags)
}

// A region's name: an area, perhaps a partition's mark, a direction, a number.
var regionForm = regexp.MustCompile(`^[a-z]{2,4}-(gov-|iso[a-z]?-|[a-z]{2}-)?(north|south|east|west|central|northeast|southeast|northwest|southwest)-[0-9]$`)

func validateRegion(d *document, region string) {
	const path = "metadata.region"
	if !d.given(path) || slices.Contains(regions(), region) {
		return
	}
	hint := "a region is named like us-west-2"
	if meant := suggest(region, regions()); meant != "" {
		hint = "did you mean " + meant + "?"
	}
	if !regionForm.MatchString(region) {
		d.errorf(path, hint, "region %q does not exist", region)
		return
	}
	d.warnf(path, hint, "region %q is new to this version of aicluster", region)
}

// regions are the regions that the SDK knows. It lists them where buckets are
// made; us-east-1 is absent there, having no location constraint.
func regions() []string {
	names := []string{"us-east-1"}
	for _, r := range types.BucketLocationConstraint("").Values() {
		if r != types.BucketLocationConstraintEu { // an old name of eu-west-1
			names = append(names, string(r))
		}
	}
	return names
}

// Rules of tags: docs.aws.amazon.com/tag-editor, "Tag naming limits and requirements".
const (
	maxTags     = 48 // 50, less aicluster/cluster and Name
	maxTagKey   = 128
	maxTagValue = 256
)

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// Tag keys that aicluster, EKS or the load balancer controller set themselves.
var reservedTags = []string{"aicluster/", "kubernetes.io/", "k8s.io/", "eks:"}

func validateTags(d *document, tags map[string]string) {
	const path = "metadata.tags"
	if len(tags) > maxTags {
		d.errorf(path, "AWS allows 50 tags, and aicluster sets two", "there are %d tags; at most %d are possible", len(tags), maxTags)
	}
	folded := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		at, value := join(path, key), tags[key]
		other, twice := folded[strings.ToLower(key)]
		folded[strings.ToLower(key)] = key
		switch {
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			d.keyErrorf(at, "choose another prefix", "the tag %q begins with aws:, which AWS keeps for itself", key)
		case key == "Name", slices.ContainsFunc(reservedTags, func(p string) bool { return strings.HasPrefix(key, p) }):
			d.keyErrorf(at, "choose another key", "the tag %q is set by aicluster or EKS itself", key)
		case key == "" || utf8.RuneCountInString(key) > maxTagKey || !tagText.MatchString(key):
			d.keyErrorf(at, "1 to 128 letters, digits, spaces and _ . : / = + - @", "%q cannot be a tag's key", key)
		case utf8.RuneCountInString(value) > maxTagValue || !tagText.MatchString(value):
			d.errorf(at, "up to 256 letters, digits, spaces and _ . : / = + - @", "%q cannot be a tag's value", value)
		case twice:
			d.keyErrorf(at, "IAM does not tell upper from lower case in tag keys", "the tags %q and %q differ only in case", other, key)
		}
	}
}

// version is a Kubernetes minor version that EKS offers.
type version struct {
	name string
	// extended is whether standard support had ended on 2026-11-23; dates:
	// docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html.
	extended bool
}

// versions are those that EKS offered on 2026-11-23. `aicluster preflight` asks
// EKS itself (DescribeClusterVersions).
func versions() []version {
	return []version{
		{"1.31", true}, {"1.32", true}, {"1.33", true},
		{"1.34", false}, {"1.35", false}, {"1.36", false},
	}
}

func versionNames() []string {
	var names []string
	for _, v := range versions() {
		names = append(names, v.name)
	}
	return names
}

func inExtendedSupport(name string) bool { return slices.Contains(versions(), version{name, true}) }

func validateCluster(d *document, b *Blueprint) {
	c := b.Cluster
	if d.given("cluster.version") && !slices.Contains(versionNames(), c.Version) {
		d.errorf("cluster.version", "choose one of "+strings.Join(versionNames(), ", "), "EKS does not offer Kubernetes %s", c.Version)
	}
	if d.given("cluster.supportType", "cluster.version") && c.SupportType == "standard" && inExtendedSupport(c.Version) {
		d.errorf("cluster.supportType", "write extended, or choose a newer version", "standard support of Kubernetes %s has ended", c.Version)
	}
	e := c.Endpoint
	switch {
	case !*e.Public && !*e.Private:
		d.errorf("cluster.endpoint", "leave one of public and private true", "nobody could reach the API server")
	case !*e.Public && len(e.PublicCIDRs) > 0:
		d.errorf("cluster.endpoint.publicCIDRs", "remove it, or write 'public: true'", "publicCIDRs has no meaning when the endpoint is not public")
	case !*e.Public:
		d.warnf("cluster.endpoint.public", "run aicluster inside the VPC or where it is routed", "the API server is reachable only inside the VPC, also for aicluster")
	}
	for i, cidr := range e.PublicCIDRs {
		at := item("cluster.endpoint.publicCIDRs", i)
		if p, ok := validateCIDR(d, at, cidr); ok && isPrivate(p) {
			d.errorf(at, "the public endpoint sees the public addresses behind a NAT", "%s is a private range, which EKS refuses here", cidr)
		}
	}
}

// validateCIDR checks that text is an IPv4 range in its canonical form.
func validateCIDR(d *document, path, text string) (netip.Prefix, bool) {
	if !d.given(path) {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || !p.Addr().Is4():
		d.errorf(path, "write an IPv4 range such as 10.42.0.0/16", "%q is not an IPv4 CIDR range", text)
		return p, false
	case p != p.Masked():
		d.errorf(path, "did you mean "+p.Masked().String()+"?", "%s has bits set beyond its /%d", text, p.Bits())
		return p, false
	}
	return p, true
}

// isPrivate reports whether a range lies in RFC 1918's or in RFC 6598's, which
// are those that EKS takes for pods and nodes.
func isPrivate(p netip.Prefix) bool {
	for _, text := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"} {
		private := netip.MustParsePrefix(text)
		if private.Overlaps(p) && private.Bits() <= p.Bits() {
			return true
		}
	}
	return false
}
