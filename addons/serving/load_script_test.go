package serving

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakeAWS stands in for the AWS CLI with a folder in the place of S3: as much of
// it as load.sh uses. It writes down what it was called for, and does what the
// files in $S3/.test ask for.
const fakeAWS = `#!/bin/sh
set -eu
say() { echo "$*" >>"$S3/.test/calls"; }
case "$1 $2" in
's3api list-objects-v2')
	say list
	[ "$3 $5 $7 $8" = '--bucket --prefix --output text' ] || { echo "unknown options $*" >&2; exit 252; }
	[ ! -e "$S3/.test/denied" ] || { echo 'aws: [ERROR]: An error occurred (AccessDenied) when calling the ListObjectsV2 operation: not authorized' >&2; exit 254; }
	cd "$S3/$4"
	found=$(find "$6" -type f 2>/dev/null | LC_ALL=C sort || :)
	[ -n "$found" ] || { echo None; exit 0; }
	for f in $found; do printf '%s\t"%s"\t%s\n' "$(($(wc -c <"$f")))" "$(cksum <"$f" | tr ' ' -)" "$f"; done
	;;
's3 sync')
	[ "$3 $4 $5" = '--delete --exact-timestamps --only-show-errors' ] || { echo "unknown options $*" >&2; exit 252; }
	say sync start
	from=$S3/${6#s3://} to=$7
	[ ! -e "$S3/.test/slow" ] || sleep 0.5
	[ ! -e "$S3/.test/endless" ] || exec sleep 60
	(cd "$to" && find . -type f) | while read -r f; do [ -e "$from/$f" ] || rm "$to/$f"; done
	(cd "$from" && find . -type f) | LC_ALL=C sort | while read -r f; do
		if [ -e "$S3/.test/breaks" ]; then echo 'fatal error: Connection reset' >&2; exit 1; fi
		mkdir -p "$(dirname "$to/$f")"
		cp "$from/$f" "$to/$f"
	done
	[ ! -e "$S3/.test/changes" ] || echo more >>"$from/config.json"
	[ ! -e "$S3/.test/truncates" ] || : >"$to/config.json"
	say sync end
	;;
*) echo "unknown command $*" >&2; exit 252 ;;
esac
`

// shelf is a bucket with a model, and a node's disk.
type shelf struct {
	t            *testing.T
	s3, bin, tmp string
	disk         string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, s3: t.TempDir(), bin: t.TempDir(), tmp: t.TempDir(), disk: filepath.Join(t.TempDir(), "models")}
	s.write(filepath.Join(s.bin, "aws"), fakeAWS, 0o755)
	s.put("config.json", "{}")
	s.put("shards/model-1.safetensors", "weights 1")
	s.put("shards/model-2.safetensors", "weights 2")
	s.write(filepath.Join(s.s3, ".test", "calls"), "", 0o644)
	return s
}

func (s *shelf) write(path, content string, mode os.FileMode) {
	s.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), mode)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) put(file, content string) {
	s.write(filepath.Join(s.s3, "bucket/llama", file), content, 0o644)
}
func (s *shelf) local(file string) string { return filepath.Join(s.disk, "llama", file) }

// ask lets the stand-in do something until the function that it returns is called.
func (s *shelf) ask(what string) func() {
	path := filepath.Join(s.s3, ".test", what)
	s.write(path, "", 0o644)
	return func() {
		if err := os.Remove(path); err != nil {
			s.t.Fatal(err)
		}
	}
}

// calls tells what the AWS CLI was called for.
func (s *shelf) calls() string {
	text, err := os.ReadFile(filepath.Join(s.s3, ".test", "calls"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(string(text), "sync ", "sync-")), " ")
}

// pod runs the script as a pod would.
func (s *shelf) pod(name string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", loadScript)
	cmd.Env = []string{"PATH=" + s.bin + ":" + os.Getenv("PATH"), "S3=" + s.s3, "TMPDIR=" + s.tmp, "PAUSE=0.1",
		"HOSTNAME=" + name, "SOURCE=s3://bucket/llama", "TARGET=" + s.disk}
	return cmd
}

// load runs it to its end.
func (s *shelf) load(name string) (string, error) {
	out, err := s.pod(name).CombinedOutput()
	return string(out), err
}

// whole checks that the disk has exactly what S3 has, and no lock.
func (s *shelf) whole() {
	s.t.Helper()
	if out, err := exec.Command("diff", "-r", filepath.Join(s.s3, "bucket/llama"), filepath.Join(s.disk, "llama")).CombinedOutput(); err != nil {
		s.t.Errorf("the folder is not the model: %s", out)
	}
	left, _ := filepath.Glob(filepath.Join(s.disk, ".aicluster", "*")) // the pattern is well formed
	if len(left) != 1 || filepath.Base(left[0]) != "llama.files" {
		s.t.Errorf("left in .aicluster: %v", left)
	}
}

func (s *shelf) must(name, want string) {
	s.t.Helper()
	if out, err := s.load(name); err != nil || !strings.Contains(out, want) {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// TestLoadScriptIsAsWritten: Kubernetes makes one dollar of two in a container's
// command, and replaces $(NAME) by a variable of that name.
func TestLoadScriptIsAsWritten(t *testing.T) {
	if strings.Contains(loadScript, "$$") {
		t.Error("two dollars")
	}
	for _, e := range loaderContainer(blueprint(t), "m").Env {
		if strings.Contains(loadScript, "$("+e.Name+")") {
			t.Errorf("$(%s)", e.Name)
		}
	}
}

func TestLoadCopiesOnce(t *testing.T) {
	s := newShelf(t)
	s.must("a", "llama is copied")
	s.whole()
	if got := s.calls(); got != "list sync-start sync-end list" {
		t.Errorf("calls %s", got)
	}
	s.must("b", "llama is there, as it is in S3")
	s.whole()
	if got := s.calls(); got != "list sync-start sync-end list list" {
		t.Errorf("of what is there: calls %s", got)
	}
}

func TestLoadRepairs(t *testing.T) {
	for name, spoil := range map[string]func(*shelf) error{
		"another model in S3":  func(s *shelf) error { s.put("shards/model-1.safetensors", "WEIGHTS 1"); return nil },
		"a file fewer in S3":   func(s *shelf) error { return os.Remove(filepath.Join(s.s3, "bucket/llama/shards/model-2.safetensors")) },
		"a file more in S3":    func(s *shelf) error { s.put("tokenizer.json", "{}"); return nil },
		"a truncated file":     func(s *shelf) error { return os.Truncate(s.local("shards/model-1.safetensors"), 3) },
		"a file that is gone":  func(s *shelf) error { return os.Remove(s.local("config.json")) },
		"the list that's gone": func(s *shelf) error { return os.Remove(filepath.Join(s.disk, ".aicluster/llama.files")) },
		"an empty folder":      func(s *shelf) error { return os.RemoveAll(s.local("")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			s.must("a", "copied")
			if err := spoil(s); err != nil {
				t.Fatal(err)
			}
			s.must("b", "copied")
			s.whole()
		})
	}
}

// TestLoadFails: whatever goes wrong, the reason is said, the pod fails, and the
// folder does not count as whole: the next try makes it so.
func TestLoadFails(t *testing.T) {
	for fault, words := range map[string]string{
		"denied":    "An error occurred (AccessDenied) when calling the ListObjectsV2 operation",
		"breaks":    "fatal error: Connection reset",
		"changes":   "s3://bucket/llama/ was changed while it was copied",
		"truncates": "not all files of llama have the size that S3 says",
	} {
		t.Run(fault, func(t *testing.T) {
			s := newShelf(t)
			mend := s.ask(fault)
			out, err := s.load("a")
			if err == nil || !strings.Contains(out, words) {
				t.Fatalf("%v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(s.disk, ".aicluster/llama.files")); err == nil {
				t.Fatal("it counts as whole")
			}
			mend()
			s.must("a", "copied")
			s.whole()
		})
	}
	s := newShelf(t)
	if err := os.RemoveAll(filepath.Join(s.s3, "bucket/llama")); err != nil {
		t.Fatal(err)
	}
	if out, err := s.load("a"); err == nil || !strings.Contains(out, "there is nothing at s3://bucket/llama/") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLoadSideBySide: pods of one node share the folder. One copies, the others wait.
func TestLoadSideBySide(t *testing.T) {
	s := newShelf(t)
	s.ask("slow")
	var wg sync.WaitGroup
	outs := make([]string, 3)
	for i, name := range []string{"a", "b", "c"} {
		wg.Go(func() {
			out, err := s.load(name)
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			outs[i] = out
		})
	}
	wg.Wait()
	s.whole()
	if got := s.calls(); strings.Count(got, "sync-start") != 1 {
		t.Errorf("calls %s", got)
	}
	all := strings.Join(outs, "")
	if strings.Count(all, "llama is copied") != 1 || strings.Count(all, "llama is there") != 2 {
		t.Errorf("they said:\n%s", all)
	}
}

// TestLoadLockOfTheDead: a pod that was killed leaves its lock. Another pod takes it
// over when it has been silent for long; the same pod's next container at once.
func TestLoadLockOfTheDead(t *testing.T) {
	for _, holder := range []string{"dead", "a"} {
		s := newShelf(t)
		lock := filepath.Join(s.disk, ".aicluster", "llama.lock")
		s.write(lock, holder+"\n", 0o644)
		if holder == "dead" {
			then := time.Now().Add(-3 * time.Minute)
			if err := os.Chtimes(lock, then, then); err != nil {
				t.Fatal(err)
			}
		}
		s.must("a", "copied")
		s.whole()
	}
}

// TestLoadIsStopped: a pod that is deleted while it copies ends the copying and
// gives its lock back.
func TestLoadIsStopped(t *testing.T) {
	s := newShelf(t)
	mend := s.ask("endless")
	cmd := s.pod("a")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(s.calls(), "sync-start") {
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Wait(); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("ended after %s: %v\n%s", time.Since(start), err, out.String())
	}
	mend()
	s.must("b", "copied")
	s.whole()
}
