package addons

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"
	"sigs.k8s.io/yaml"
)

// maxDownload bounds an index or a chart; NVIDIA's index has about 3 MB.
const maxDownload = 64 << 20 // bytes

// ChartSource says where charts come from. The zero value takes each from the
// repository that it names. No Helm file or variable of the user's is read.
type ChartSource struct {
	// Mirror stands in for every repository: a folder of chart archives, with
	// or without index.yaml, or the URL of a repository. It is for sites
	// without a way to the internet.
	Mirror string
	// Client makes the downloads; nil means http.DefaultClient.
	Client *http.Client
}

// Load fetches a chart of exactly that version. Nothing is written to disk.
// The archive must have the digest that the repository's index says.
func (s ChartSource) Load(ctx context.Context, repository, name, version string) (*chart.Chart, error) {
	if s.Mirror != "" {
		repository = s.Mirror
	}
	data, err := s.archive(ctx, repository, name, version)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s from %s: %w", name, version, repository, err)
	}
	c, err := loader.LoadArchive(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("chart %s %s from %s: %w", name, version, repository, err)
	}
	return c, nil
}

func (s ChartSource) archive(ctx context.Context, repository, name, version string) ([]byte, error) {
	if registry.IsOCI(repository) {
		return pull(repository, name, version)
	}
	index, err := s.index(ctx, repository)
	if errors.Is(err, fs.ErrNotExist) && !isURL(repository) {
		return os.ReadFile(filepath.Join(repository, name+"-"+version+".tgz"))
	}
	if err != nil {
		return nil, err
	}
	entry, err := index.Get(name, version)
	if err != nil {
		return nil, fmt.Errorf("%w (the index has %s)", err, available(index, name))
	}
	if len(entry.URLs) == 0 {
		return nil, errors.New("the index names no archive")
	}
	data, err := s.read(ctx, repository, entry.URLs[0])
	if err != nil {
		return nil, err
	}
	return data, checkDigest(data, entry.Digest)
}

// pull fetches a chart from an OCI registry.
func pull(repository, name, version string) ([]byte, error) {
	client, err := registry.NewClient(registry.ClientOptWriter(io.Discard))
	if err != nil {
		return nil, err
	}
	ref := strings.TrimPrefix(strings.TrimSuffix(repository, "/")+"/"+name+":"+version, registry.OCIScheme+"://")
	result, err := client.Pull(ref, registry.PullOptWithChart(true))
	if err != nil {
		return nil, err
	}
	return result.Chart.Data, nil
}

func (s ChartSource) index(ctx context.Context, repository string) (*repo.IndexFile, error) {
	data, err := s.read(ctx, repository, "index.yaml")
	if err != nil {
		return nil, err
	}
	index := &repo.IndexFile{}
	if err := yaml.Unmarshal(data, index); err != nil {
		return nil, fmt.Errorf("reading index.yaml: %w", err)
	}
	index.SortEntries()
	return index, nil
}

// read gets one file of a repository; ref may be an absolute URL. In a mirror
// that is a folder only the file's name counts.
func (s ChartSource) read(ctx context.Context, repository, ref string) ([]byte, error) {
	if !isURL(repository) {
		return os.ReadFile(filepath.Join(repository, filepath.Base(ref)))
	}
	base, err := url.Parse(strings.TrimSuffix(repository, "/") + "/")
	if err != nil {
		return nil, err
	}
	at, err := base.Parse(ref)
	if err != nil {
		return nil, err
	}
	if s.Mirror != "" && at.Host != base.Host { // a mirrored index may still name the original's archives
		if at, err = base.Parse(filepath.Base(at.Path)); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	return s.download(req)
}

func (s ChartSource) download(req *http.Request) ([]byte, error) {
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", req.URL.Redacted(), resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDownload+1))
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", req.URL.Redacted(), err)
	}
	if len(data) > maxDownload {
		return nil, fmt.Errorf("GET %s: more than %d MiB", req.URL.Redacted(), maxDownload>>20)
	}
	return data, nil
}

func isURL(s string) bool { return strings.Contains(s, "://") }

// checkDigest compares an archive with the index's SHA-256, if it has one.
func checkDigest(data []byte, digest string) error {
	if digest == "" {
		return nil
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != strings.TrimPrefix(digest, "sha256:") {
		return fmt.Errorf("the archive has SHA-256 %s, the index says %s: it was damaged or replaced", got, digest)
	}
	return nil
}

// available names the newest versions of a chart.
func available(index *repo.IndexFile, name string) string {
	var newest []string
	for _, v := range index.Entries[name] {
		if len(newest) == 3 {
			break
		}
		newest = append(newest, v.Version)
	}
	if len(newest) == 0 {
		return "no chart of that name"
	}
	return strings.Join(newest, ", ")
}
