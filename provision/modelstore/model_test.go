package modelstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// write makes files below a new folder, an hour old.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		put(t, dir, name, content)
	}
	return dir
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	aged(t, at, time.Hour)
}

func aged(t *testing.T, file string, age time.Duration) {
	t.Helper()
	then := time.Now().Add(-age)
	if err := os.Chtimes(file, then, then); err != nil {
		t.Fatal(err)
	}
}

// seeded is a bucket that exists and a model from dir.
func seeded(t *testing.T, dir string) (*fakeS3, *Bucket, *Model) {
	t.Helper()
	api := newFakeS3()
	b := NewNamedBucket(api, testOwner, "eu-west-1", bucketName)
	if err := b.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	api.writes, api.lists, api.heads = nil, 0, 0
	return api, b, NewModel(b, blueprints.Seed{Name: "llama", From: filepath.Base(dir)}, filepath.Dir(dir))
}

func TestModelIsUploadedOnce(t *testing.T) {
	big := strings.Repeat("weights!", 3<<20) // 24 MiB: more than one part
	dir := write(t, map[string]string{"config.json": "{}", "shards/model-1.safetensors": big, ".git/HEAD": "x", "empty": ""})
	api, _, m := seeded(t, dir)
	if o := observe(t, m); o.Exists || o.Changes[0].Wanted != "3 files, 24.0 MiB" {
		t.Fatalf("observed %+v", o)
	}
	var mu sync.Mutex
	var last string
	progress := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		last = fmt.Sprintf(format, args...)
	}
	if err := m.Apply(t.Context(), progress); err != nil {
		t.Fatal(err)
	}
	if last != "24.0 MiB of 24.0 MiB uploaded" {
		t.Errorf("last said %q", last)
	}
	objects := api.buckets[bucketName].objects
	if len(objects) != 3 || !bytes.Equal(objects["llama/shards/model-1.safetensors"].data, []byte(big)) {
		t.Errorf("%d objects", len(objects))
	}
	for key, o := range objects {
		if o.sum == "" {
			t.Errorf("%s has no checksum", key)
		}
	}
	writes := len(api.writes)
	api.heads = 0
	if o := settled(t, m); o.Detail != "s3://demo-models/llama, 3 files, 24.0 MiB" || o.Keep == "" {
		t.Errorf("observed %+v", o)
	}
	if len(api.writes) != writes || api.heads != 0 {
		t.Errorf("Observe of old files made %d writes and %d HeadObject", len(api.writes)-writes, api.heads)
	}
}

// TestMeter has parts of two files end at the same time, in any order.
func TestMeter(t *testing.T) {
	const parts, part = 200, 1 << 10
	var said []string
	m := &meter{total: 2 * parts * part, progress: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}
	var wg sync.WaitGroup
	for range 2 {
		f := &fileMeter{meter: m}
		for n := range parts {
			wg.Go(func() {
				f.OnObjectBytesTransferred(t.Context(), &transfermanager.ObjectBytesTransferredEvent{BytesTransferred: int64(n+1) * part})
			})
		}
	}
	wg.Wait()
	last := ""
	for _, s := range said {
		if len(s) < len(last) || len(s) == len(last) && s <= last {
			t.Errorf("said %q after %q", s, last)
		}
		last = s
	}
	if last != "400.0 KiB of 400.0 KiB uploaded" {
		t.Errorf("last said %q", last)
	}
}

func TestModelComparesContent(t *testing.T) {
	dir := write(t, map[string]string{"a": "one", "b": "two", "c": "three"})
	api, _, m := seeded(t, dir)
	if err := m.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "a", "longer")                   // another size
	put(t, dir, "b", "owt")                      // the same size
	aged(t, filepath.Join(dir, "b"), 0)          // and new
	aged(t, filepath.Join(dir, "c"), -time.Hour) // touched only
	o := observe(t, m)
	if len(o.Changes) != 1 || o.Changes[0].Wanted != "2 files, 9 B to upload: a, b" {
		t.Fatalf("changes %+v", o.Changes)
	}
	api.writes = nil
	if err := m.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if got := len(api.writes); got != 2 {
		t.Errorf("wrote %v", api.writes)
	}
	settled(t, m)

	put(t, dir, "c", "THREE") // the same size and old: only a full comparison sees it
	settled(t, m)
	differences, err := m.Verify(t.Context())
	if err != nil || len(differences) != 1 || differences[0] != (Difference{"c", "checksum"}) {
		t.Fatalf("differences %v %v", differences, err)
	}
	if err := m.Push(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if differences, err = m.Verify(t.Context()); err != nil || len(differences) != 0 {
		t.Errorf("after Push: %v %v", differences, err)
	}
}

func TestModelVerifyNamesWhatDiffers(t *testing.T) {
	dir := write(t, map[string]string{"a": "one", "b": "two"})
	api, _, m := seeded(t, dir)
	if err := m.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	objects := api.buckets[bucketName].objects
	delete(objects, "llama/a")
	objects["llama/b"] = fakeObject{data: []byte("longer"), modified: time.Now()}
	objects["llama/old"] = fakeObject{data: []byte("x"), modified: time.Now()}
	differences, err := m.Verify(t.Context())
	if err != nil || fmt.Sprint(differences) != "[{a missing} {b size} {old extra}]" {
		t.Errorf("%v %v", differences, err)
	}
	if o := observe(t, m); len(o.Notes) != 1 || !strings.Contains(o.Notes[0], "old") {
		t.Errorf("notes %q", o.Notes)
	}
}

func TestModelFolderProblems(t *testing.T) {
	loop := write(t, map[string]string{"a": "x"})
	if err := os.Symlink(loop, filepath.Join(loop, "self")); err != nil {
		t.Fatal(err)
	}
	dangling := t.TempDir()
	if err := os.Symlink(filepath.Join(dangling, "nothing"), filepath.Join(dangling, "link")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(write(t, map[string]string{"a": "x"}), "a")
	for want, dir := range map[string]string{
		"does not exist":      filepath.Join(t.TempDir(), "absent"),
		"holds no files":      t.TempDir(),
		"leads back to":       loop,
		"following":           dangling,
		"a model is a folder": file,
	} {
		_, _, m := seeded(t, dir)
		if o := observe(t, m); o.Exists || !strings.Contains(o.Changes[0].Hint, want) {
			t.Errorf("%s: observed %+v", want, o)
		}
		err := m.Apply(t.Context(), quiet)
		var e *cloud.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, want) || e.Hint == "" {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestModelFollowsLinksToFiles(t *testing.T) {
	blobs := write(t, map[string]string{"abc": "weights"})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(blobs, "abc"), filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	api, _, m := seeded(t, dir)
	if err := m.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if got := string(api.buckets[bucketName].objects["llama/model.safetensors"].data); got != "weights" {
		t.Errorf("uploaded %q", got)
	}
}

func TestModelSeededFromAnotherMachine(t *testing.T) {
	dir := write(t, map[string]string{"a": "one"})
	_, _, m := seeded(t, dir)
	if err := m.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if o := settled(t, m); len(o.Notes) != 1 || !strings.Contains(o.Notes[0], "not on this machine") {
		t.Errorf("notes %q", o.Notes)
	}
}

func TestModelUploadErrors(t *testing.T) {
	dir := write(t, map[string]string{"a": "one"})
	api, _, m := seeded(t, dir)
	api.corrupt = true
	if err := m.Apply(t.Context(), quiet); err == nil || !strings.Contains(err.Error(), "a: S3 has checksum AAAAAAAAAAA=") {
		t.Errorf("a wrong checksum: %v", err)
	}
	api, _, m = seeded(t, dir)
	api.putErr = failed(403, "AccessDenied")
	err := m.Apply(t.Context(), quiet)
	var e *cloud.Error
	if !errors.As(err, &e) || e.Code != "AccessDenied" || e.Resource != "model/llama" {
		t.Errorf("a refused upload: %v", err)
	}
	api, _, m = seeded(t, dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted by the user")
	cancel(stop)
	if err := m.Apply(ctx, quiet); !errors.Is(err, stop) || len(api.writes) > 0 {
		t.Errorf("interrupted: %v, wrote %v", err, api.writes)
	}
}

func TestModelDelete(t *testing.T) {
	dir := write(t, map[string]string{"a": "one"})
	api, b, m := seeded(t, dir)
	if err := m.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	api.buckets[bucketName].objects["other/x"] = fakeObject{}
	if err := m.Delete(t.Context(), quiet); err == nil {
		t.Error("deleted without being asked for")
	}
	b.DeleteModels = true
	if o := observe(t, m); o.Keep != "" {
		t.Errorf("keep %q", o.Keep)
	}
	if err := m.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if got := len(api.buckets[bucketName].objects); got != 1 {
		t.Errorf("%d objects left, want the other model's", got)
	}
}

func TestModelWithoutBucketMakesNoCall(t *testing.T) {
	b := NewNamedBucket(nil, testOwner, "eu-west-1", bucketName)
	m := NewModel(b, blueprints.Seed{Name: "llama", From: t.TempDir()}, "")
	if o := observe(t, m); o.Exists {
		t.Error("exists without a bucket")
	}
	if err := m.Delete(t.Context(), quiet); err != nil {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	api := newFakeS3()
	api.buckets[bucketName] = &fakeBucket{objects: map[string]fakeObject{
		"llama/a": {data: []byte("12345")}, "llama/b/c": {data: []byte("1")}, "org/qwen/w": {data: []byte("12")}, "org/other/w": {}, "stray": {}, "folder/": {},
	}}
	got, err := List(t.Context(), api, bucketName, "org/qwen")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range got {
		lines = append(lines, fmt.Sprintf("%s %d %d", s.Name, s.Files, s.Bytes))
	}
	if strings.Join(lines, "; ") != "llama 2 6; org 1 0; org/qwen 1 2" {
		t.Errorf("listed %q", lines)
	}
	if _, err := List(t.Context(), api, "absent"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a missing bucket: %v", err)
	}
}

// The CRC-64/NVME check value of "123456789" (NVM Express base specification).
func TestChecksum(t *testing.T) {
	h := newChecksum()
	h.Write([]byte("123456789"))
	if h.Sum64() != 0xae8b14860a799888 {
		t.Errorf("%#x", h.Sum64())
	}
}
