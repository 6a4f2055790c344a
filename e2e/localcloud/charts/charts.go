// Package charts holds small stand-ins for the Helm charts that a blueprint's
// add-ons come from, and writes them as a chart repository.
//
// A stand-in has the real chart's name, version, values interface, object names,
// labels, hooks and custom resources, as they are seen from outside, and none of
// its software: what the software would do is played by the controllers package.
// The trees under trees/ were written for the local cloud.
package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"
)

//go:embed all:trees
var trees embed.FS

// metadata is what a repository's index says of a chart: Chart.yaml and where
// the archive is (https://helm.sh/docs/topics/chart_repository/).
type metadata struct {
	APIVersion  string `json:"apiVersion"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	AppVersion  string `json:"appVersion,omitempty"`
	KubeVersion string `json:"kubeVersion,omitempty"`
	Description string `json:"description,omitempty"`
	Home        string `json:"home,omitempty"`
	Type        string `json:"type,omitempty"`

	Dependencies []map[string]any `json:"dependencies,omitempty"`

	URLs    []string  `json:"urls,omitempty"`
	Digest  string    `json:"digest,omitempty"`
	Created time.Time `json:"created"`
}

type index struct {
	APIVersion string                `json:"apiVersion"`
	Generated  time.Time             `json:"generated"`
	Entries    map[string][]metadata `json:"entries"`
}

// packaged is the time that archives and index carry: the same sources give the
// same bytes.
var packaged = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// Write writes the charts to dir as a chart repository: index.yaml and one
// NAME-VERSION.tgz for each chart. The folder is made if it is not there.
func Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := trees.ReadDir("trees")
	if err != nil {
		return err
	}
	idx := index{APIVersion: "v1", Generated: packaged, Entries: map[string][]metadata{}}
	for _, entry := range entries {
		meta, archive, err := pack(entry.Name())
		if err != nil {
			return fmt.Errorf("chart %s: %w", entry.Name(), err)
		}
		if err := os.WriteFile(filepath.Join(dir, meta.URLs[0]), archive, 0o644); err != nil {
			return err
		}
		idx.Entries[meta.Name] = append(idx.Entries[meta.Name], meta)
	}
	content, err := yaml.Marshal(idx)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.yaml"), content, 0o644)
}

// pack returns a chart's index entry and its archive.
func pack(chart string) (metadata, []byte, error) {
	root := path.Join("trees", chart)
	var meta metadata
	content, err := trees.ReadFile(path.Join(root, "Chart.yaml"))
	if err != nil {
		return meta, nil, err
	}
	if err := yaml.UnmarshalStrict(content, &meta); err != nil {
		return meta, nil, fmt.Errorf("Chart.yaml: %w", err)
	}
	archive, err := archive(root, meta.Name)
	if err != nil {
		return meta, nil, err
	}
	digest := sha256.Sum256(archive)
	meta.Digest = hex.EncodeToString(digest[:])
	meta.URLs = []string{fmt.Sprintf("%s-%s.tgz", meta.Name, meta.Version)}
	meta.Created = packaged
	return meta, archive, nil
}

// archive packs the files under root into a gzipped tar whose only folder is name.
func archive(root, name string) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	tape := tar.NewWriter(zip)
	err := fs.WalkDir(trees, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := trees.ReadFile(p)
		if err != nil {
			return err
		}
		header := &tar.Header{
			Name:    path.Join(name, p[len(root):]),
			Mode:    0o644,
			Size:    int64(len(content)),
			ModTime: packaged,
		}
		if err := tape.WriteHeader(header); err != nil {
			return err
		}
		_, err = tape.Write(content)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := tape.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
