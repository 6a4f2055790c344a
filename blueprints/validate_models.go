package blueprints

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

func validateModels(d *document, b *Blueprint) {
	if b.Models == nil {
		return
	}
	if d.given("models.bucket") {
		if why := badBucket(b.Models.Bucket); why != "" {
			d.errorf("models.bucket", "S3 allows 3 to 63 lowercase letters, digits, dots and hyphens", "%q cannot be a bucket's name: %s", b.Models.Bucket, why)
		}
	}
	line := map[string]int{}
	for i, seed := range b.Models.Seed {
		at := item("models.seed", i)
		if !d.given(at + ".name") {
			continue
		}
		if line[seed.Name] > 0 {
			d.errorf(at+".name", "give each model its own name", "model %q exists already, on line %d", seed.Name, line[seed.Name])
			continue
		}
		line[seed.Name] = d.at(at + ".name").Line
		if info, err := os.Stat(b.Path(seed.From)); d.given(at+".from") && (err != nil || !info.IsDir()) {
			d.warnf(at+".from", "'aicluster up' needs it; paths start at the blueprint's folder", "the folder %s does not exist yet", seed.From)
		}
	}
}

// Path is where a path in the blueprint leads: relative ones start at its folder.
func (b *Blueprint) Path(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(b.Dir, path)
}

var (
	bucketText = regexp.MustCompile(`^[a-z0-9.-]+$`)
	bucketEnds = regexp.MustCompile(`^[a-z0-9].*[a-z0-9]$`)
	ipAddress  = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

// badBucket says which of S3's rules a name breaks; "" if none
// (docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
func badBucket(name string) string {
	switch {
	case len(name) < 3 || len(name) > 63:
		return "it must have 3 to 63 characters"
	case name != strings.ToLower(name):
		return "it has capital letters"
	case !bucketText.MatchString(name):
		return "it has other characters"
	case !bucketEnds.MatchString(name):
		return "it must begin and end with a letter or digit"
	case strings.Contains(name, ".."):
		return "it has two dots in a row"
	case ipAddress.MatchString(name):
		return "it looks like an IP address"
	}
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return "S3 keeps the beginning " + prefix + " for itself"
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3", "-an"} {
		if strings.HasSuffix(name, suffix) {
			return "S3 keeps the ending " + suffix + " for itself"
		}
	}
	return ""
}
