package modelstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Model is a local folder of weights that is to be in the bucket, under the
// model's name.
type Model struct {
	bucket *Bucket
	name   string
	dir    string
	needs  []engine.Resource

	remote map[string]object
}

// NewModel makes the resource "model/<name>". A relative seed.From starts at
// dir, the folder of the blueprint.
func NewModel(bucket *Bucket, seed blueprints.Seed, dir string) *Model {
	from := seed.From
	if !filepath.IsAbs(from) {
		from = filepath.Join(dir, from)
	}
	return &Model{bucket: bucket, name: seed.Name, dir: from, needs: []engine.Resource{bucket}}
}

// ID implements engine.Resource.
func (m *Model) ID() string { return "model/" + m.name }

// Needs implements engine.Resource.
func (m *Model) Needs() []engine.Resource { return m.needs }

// Container implements engine.Inner.
func (m *Model) Container() engine.Resource { return m.bucket }

// Name is the model's name, the prefix of its objects.
func (m *Model) Name() string { return m.name }

// URL is where the model is: s3://bucket/name.
func (m *Model) URL() string { return "s3://" + m.bucket.name + "/" + m.name }

func (m *Model) prefix() string { return m.name + "/" }

// Observe implements engine.Resource. It lists the prefix once. Files of equal
// size count as equal unless the local one is newer than the object or about as
// new: only these are read, and their checksums compared.
//
// A folder that is not on this machine is a difference only while the bucket
// has nothing of the model: weights are often seeded from another machine.
func (m *Model) Observe(ctx context.Context) (engine.Observation, error) {
	m.remote = nil
	files, localErr := walk(m.dir)
	if !m.bucket.Exists() {
		return engine.Observation{Changes: m.creation(files, localErr)}, nil
	}
	var err error
	if m.remote, err = list(ctx, m.bucket.api, m.bucket.name, m.prefix()); err != nil {
		return engine.Observation{}, cloud.Wrap(m.ID(), "listing what is in the bucket", err)
	}
	if len(m.remote) == 0 {
		return engine.Observation{Changes: m.creation(files, localErr)}, nil
	}
	o := engine.Observation{Exists: true, Keep: m.bucket.keep(), Detail: m.URL() + ", " + amount(len(m.remote), remoteBytes(m.remote))}
	if errors.Is(localErr, fs.ErrNotExist) {
		o.Notes = append(o.Notes, m.dir+" is not on this machine: what is in the bucket stays as it is")
		return o, nil
	}
	if localErr != nil {
		o.Changes = []engine.Change{{Field: "from", Live: m.URL(), Wanted: m.dir, Policy: engine.PolicyInPlace, Hint: localErr.Error()}}
		return o, nil
	}
	stale, err := m.stale(ctx, files, maybeNewer)
	if err != nil {
		return engine.Observation{}, err
	}
	if len(stale) > 0 {
		o.Changes = []engine.Change{{Field: "files", Live: amount(len(m.remote), remoteBytes(m.remote)),
			Wanted: amount(len(stale), localBytes(stale)) + " to upload: " + firstKeys(stale), Policy: engine.PolicyInPlace}}
	}
	if extra := m.extra(files); len(extra) > 0 {
		o.Notes = append(o.Notes, fmt.Sprintf("%d files in the bucket are not in %s and stay: %s", len(extra), m.dir, strings.Join(extra[:min(3, len(extra))], ", ")))
	}
	return o, nil
}

// creation says what will be uploaded, or why nothing can be.
func (m *Model) creation(files []file, localErr error) []engine.Change {
	c := engine.Change{Field: "files", Wanted: amount(len(files), localBytes(files)), Policy: engine.PolicyCreate}
	if localErr != nil {
		c.Wanted, c.Hint = m.dir, localErr.Error()
	}
	return []engine.Change{c}
}

// clockSkew is how far the clocks of this machine and S3 may be apart when a
// file's age is compared with its object's.
const clockSkew = 5 * time.Minute

// maybeNewer picks the files whose content may have changed since the upload.
func maybeNewer(f file, o object) bool { return f.modified.After(o.modified.Add(-clockSkew)) }

// always picks every file.
func always(file, object) bool { return true }

// hashers is how many files are read at once to compare them.
const hashers = 2

// stale lists the files that the bucket lacks or has otherwise. Of those with
// equal size the ones that suspect picks are compared by checksum.
func (m *Model) stale(ctx context.Context, files []file, suspect func(file, object) bool) ([]file, error) {
	differs := make([]bool, len(files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(hashers)
	for i, f := range files {
		o, ok := m.remote[f.key]
		if !ok || o.size != f.size {
			differs[i] = true
			continue
		}
		if !suspect(f, o) {
			continue
		}
		g.Go(func() (err error) {
			differs[i], err = m.contentDiffers(gctx, f)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, cloud.Wrap(m.ID(), "comparing "+m.dir+" with the bucket", err)
	}
	var out []file
	for i, f := range files {
		if differs[i] {
			out = append(out, f)
		}
	}
	return out, nil
}

// contentDiffers compares a file's checksum with its object's. An object
// without a full checksum, which another tool made, counts as different.
func (m *Model) contentDiffers(ctx context.Context, f file) (bool, error) {
	head, err := m.bucket.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(m.bucket.name), Key: aws.String(m.prefix() + f.key), ChecksumMode: types.ChecksumModeEnabled})
	if absent(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if head.ChecksumCRC64NVME == nil {
		return true, nil
	}
	local, err := checksum(ctx, f)
	return local != *head.ChecksumCRC64NVME, err
}

// extra lists remote files that are not in the folder, sorted.
func (m *Model) extra(files []file) []string {
	left := maps.Clone(m.remote)
	for _, f := range files {
		delete(left, f.key)
	}
	return slices.Sorted(maps.Keys(left))
}

// Difference is a file that is not in the bucket as it is in the folder.
type Difference struct {
	File    string `json:"file"`
	Problem string `json:"problem"` // missing, size, checksum, extra
}

// Verify compares every file by checksum, and lists what differs.
func (m *Model) Verify(ctx context.Context) ([]Difference, error) {
	files, err := walk(m.dir)
	if err != nil {
		return nil, m.folderError(err)
	}
	if m.remote, err = list(ctx, m.bucket.api, m.bucket.name, m.prefix()); err != nil {
		return nil, cloud.Wrap(m.ID(), "listing what is in the bucket", err)
	}
	stale, err := m.stale(ctx, files, always)
	if err != nil {
		return nil, err
	}
	out := []Difference{}
	for _, f := range stale {
		d := Difference{File: f.key, Problem: "checksum"}
		if o, ok := m.remote[f.key]; !ok {
			d.Problem = "missing"
		} else if o.size != f.size {
			d.Problem = "size"
		}
		out = append(out, d)
	}
	for _, key := range m.extra(files) {
		out = append(out, Difference{File: key, Problem: "extra"})
	}
	return out, nil
}

func (m *Model) folderError(err error) error {
	return cloud.Fail(m.ID(), "reading its folder", err.Error(), "download the model there, or correct models.seed[].from")
}

// Delete implements engine.Resource. Teardown calls it only when the data is to go.
func (m *Model) Delete(ctx context.Context, p engine.Progress) error {
	if !m.bucket.Exists() {
		return nil
	}
	if why := m.bucket.keep(); why != "" {
		return cloud.Fail(m.ID(), "deleting the model", "its bucket is kept: it "+why, "")
	}
	err := deleteObjects(ctx, m.bucket.api, m.bucket.name, m.prefix(), p)
	if absent(err) {
		err = nil
	}
	return cloud.Wrap(m.ID(), "deleting the model", err)
}

func localBytes(files []file) (n int64) {
	for _, f := range files {
		n += f.size
	}
	return n
}

func remoteBytes(objects map[string]object) (n int64) {
	for _, o := range objects {
		n += o.size
	}
	return n
}

func amount(files int, bytes int64) string {
	if files == 1 {
		return "1 file, " + size(bytes)
	}
	return fmt.Sprintf("%d files, %s", files, size(bytes))
}

// size writes a number of bytes in binary units.
func size(bytes int64) string {
	const units = "KMGTP"
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/1024, 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

func firstKeys(files []file) string {
	var keys []string
	for _, f := range files[:min(3, len(files))] {
		keys = append(keys, f.key)
	}
	if len(files) > 3 {
		keys = append(keys, "…")
	}
	return strings.Join(keys, ", ")
}
