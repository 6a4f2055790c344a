package addons

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/repo"
)

// testChart is a chart with one ConfigMap.
func testChart(version string) *chart.Chart {
	return &chart.Chart{
		Metadata: &chart.Metadata{APIVersion: "v2", Name: "hello", Version: version},
		Values:   map[string]any{"greeting": "hi"},
		Templates: []*chart.File{{Name: "templates/cm.yaml", Data: []byte(
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hello}\ndata: {greeting: {{ .Values.greeting | quote }}}\n")}},
	}
}

// repository writes versions of the chart and their index to a folder.
func repository(t *testing.T, versions ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, v := range versions {
		if _, err := chartutil.Save(testChart(v), dir); err != nil {
			t.Fatal(err)
		}
	}
	index, err := repo.IndexDirectory(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := index.WriteFile(filepath.Join(dir, "index.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestChartSources(t *testing.T) {
	dir := repository(t, "1.0.0", "v1.1.0")
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	bare := t.TempDir() // without index.yaml
	if _, err := chartutil.Save(testChart("1.0.0"), bare); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		source ChartSource
		repo   string
	}{
		"repository":           {ChartSource{}, server.URL},
		"mirror folder":        {ChartSource{Mirror: dir}, "https://not.reached.invalid"},
		"mirror without index": {ChartSource{Mirror: bare}, "https://not.reached.invalid"},
		"mirror URL":           {ChartSource{Mirror: server.URL + "/"}, "oci://not.reached.invalid/charts"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tt.source.Load(t.Context(), tt.repo, "hello", "1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			if c.Metadata.Version != "1.0.0" || len(c.Templates) != 1 {
				t.Errorf("loaded %+v", c.Metadata)
			}
		})
	}
}

func TestChartSourceErrors(t *testing.T) {
	dir := repository(t, "1.0.0", "1.1.0")
	source := ChartSource{Mirror: dir}
	_, err := source.Load(t.Context(), "", "hello", "2.0.0")
	if err == nil || !strings.Contains(err.Error(), "the index has 1.1.0, 1.0.0") {
		t.Errorf("missing version: %v", err)
	}
	_, err = source.Load(t.Context(), "", "unknown", "2.0.0")
	if err == nil || !strings.Contains(err.Error(), "no chart of that name") {
		t.Errorf("missing chart: %v", err)
	}
	archive := filepath.Join(dir, "hello-1.0.0.tgz")
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, append(data, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = source.Load(t.Context(), "", "hello", "1.0.0"); err == nil || !strings.Contains(err.Error(), "damaged or replaced") {
		t.Errorf("wrong digest: %v", err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err = (ChartSource{}).Load(t.Context(), server.URL, "hello", "1.0.0"); err == nil || !strings.Contains(err.Error(), "404 Not Found") {
		t.Errorf("missing index: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = (ChartSource{}).Load(ctx, server.URL, "hello", "1.0.0"); err == nil || ctx.Err() == nil {
		t.Errorf("cancelled: %v", err)
	}
}
