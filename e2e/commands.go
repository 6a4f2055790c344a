package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/client-go/util/jsonpath"
)

// cloudKey finds a script's cloud in its environment values.
type cloudKey struct{}

// fixture is what a script's commands share.
type fixture struct {
	*testscript.TestScript
	*cloud
}

func of(ts *testscript.TestScript) fixture {
	return fixture{ts, ts.Value(cloudKey{}).(*cloud)}
}

// cmdCloud starts the script's local cloud: "cloud SPEED [PROFILE]". PROFILE is a
// file with durations that are to be others than AWS's. It takes the environment
// from the cloud's env file, as ". D/env" does in a shell.
func cmdCloud(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: cloud SPEED [PROFILE]")
	}
	f := of(ts)
	var flags []string
	if len(args) == 2 {
		flags = []string{"--profile", ts.MkAbs(args[1])}
	}
	if ts.Getenv(autoscalerVariable) != "" { // the real one acts
		flags = append(flags, "--without", "cluster-autoscaler")
	}
	ts.Check(f.start(filepath.Join(filepath.Dir(mustLook(ts, "localcloud")), "localcloud"), ts.MkAbs("cloud"), args[0], flags...))
	ts.Defer(func() {
		if err := f.stop(); err != nil {
			ts.Logf("the local cloud ended with: %v", err)
		}
	})
	for name, value := range f.env {
		ts.Setenv(name, value)
	}
	ts.Check(writeInventory(f, ts.MkAbs(startInventory)))
}

func mustLook(ts *testscript.TestScript, program string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, program)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	ts.Fatalf("%s is not on the PATH", program)
	return ""
}

// cmdAicluster runs aicluster as "exec aicluster" would and sees to it that no
// secret is in what it prints.
func cmdAicluster(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("aicluster", args...)
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if len(args) > 0 && args[0] != "token" {
		noSecrets(ts, "aicluster "+args[0], stdout+stderr)
	}
	switch {
	case err != nil && !neg:
		ts.Logf("[stdout]\n%s[stderr]\n%s", stdout, stderr)
		ts.Fatalf("aicluster %s: %v", strings.Join(args, " "), err)
	case err == nil && neg:
		ts.Logf("[stdout]\n%s[stderr]\n%s", stdout, stderr)
		ts.Fatalf("aicluster %s succeeded, but was to fail", strings.Join(args, " "))
	}
}

// noSecrets fails the script if text holds the secret key or a cluster token.
func noSecrets(ts *testscript.TestScript, where, text string) {
	for name, secret := range map[string]string{"the secret access key": ts.Getenv("AWS_SECRET_ACCESS_KEY"), "a cluster token": "k8s-aws-v1."} {
		if secret != "" && strings.Contains(text, secret) {
			ts.Fatalf("%s printed %s", where, name)
		}
	}
}

// cmdJSONPath compares a value in a JSON file, or in the last line of JSON
// lines: "jsonpath FILE {.result} WANTED". WANTED may be @FILE, the contents of a
// file without space around it. With "!" it must differ.
func cmdJSONPath(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: jsonpath FILE TEMPLATE WANTED")
	}
	got, err := evaluate(ts.ReadFile(args[0]), args[1])
	ts.Check(err)
	if file, ok := strings.CutPrefix(args[2], "@"); ok {
		got, args[2] = strings.TrimSpace(got), strings.TrimSpace(ts.ReadFile(file))
	}
	if (got == args[2]) == neg {
		ts.Logf("%s", ts.ReadFile(args[0]))
		ts.Fatalf("%s is %q, wanted %q (negated: %v)", args[1], got, args[2], neg)
	}
}

// evaluate runs a kubectl JSONPath template on a document, or on the last of several.
func evaluate(text, template string) (string, error) {
	var doc any
	d := json.NewDecoder(strings.NewReader(text))
	for d.More() {
		doc = nil
		if err := d.Decode(&doc); err != nil {
			return "", err
		}
	}
	p := jsonpath.New("script").AllowMissingKeys(true)
	if err := p.Parse(template); err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := p.Execute(&b, doc); err != nil {
		return "", err
	}
	return b.String(), nil
}

// cmdModelFiles makes a model's folder with files of the given total size:
// "modelfiles DIR MIB". The contents are random but the same in every run.
func cmdModelFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: modelfiles DIR MIB")
	}
	mib, err := strconv.Atoi(args[1])
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	random := rand.NewChaCha8([32]byte{})
	for i := range 4 {
		data := make([]byte, mib<<20/4)
		_, _ = random.Read(data)
		ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("model-%05d-of-00004.safetensors", i+1)), data, 0o644))
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"model_type": "llama"}`+"\n"), 0o644))
}

// cmdInventory writes what exists in the account: "inventory FILE".
func cmdInventory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: inventory FILE")
	}
	ts.Check(writeInventory(of(ts), ts.MkAbs(args[0])))
}

func writeInventory(f fixture, path string) error {
	lines, err := f.inventory()
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// inventory lists everything in the account, of all services, sorted.
func (c *cloud) inventory() ([]string, error) {
	var services map[string][]string
	if err := c.get("inventory", &services); err != nil {
		return nil, err
	}
	var all []string
	for _, lines := range services {
		all = append(all, lines...)
	}
	slices.Sort(all)
	return all, nil
}
