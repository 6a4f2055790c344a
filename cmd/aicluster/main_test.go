package main

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"aicluster": main})
}

// TestScripts runs the real main in testdata/script, without any cloud.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: exitcode CODE COMMAND…")
				}
				err := ts.Exec(args[1], args[2:]...)
				code := "0"
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					code = strconv.Itoa(exit.ExitCode())
				} else if err != nil {
					ts.Fatalf("%v: %v", args, err)
				}
				if code != args[0] {
					ts.Logf("[stdout]\n%s[stderr]\n%s", ts.ReadFile("stdout"), ts.ReadFile("stderr"))
					ts.Fatalf("%v exited %s, wanted %s", args[1:], code, args[0])
				}
			},
		},
	})
}

func TestFlagsMayFollowArguments(t *testing.T) {
	a := newApp(os.Stdin, os.Stdout, os.Stderr)
	for _, tc := range []struct{ in, want []string }{
		{
			[]string{"aicluster", "up", "b.yaml", "--yes", "-o", "json"},
			[]string{"aicluster", "up", "--yes", "-o", "json", "b.yaml"},
		},
		{
			[]string{"aicluster", "kubeconfig", "b.yaml", "--file", "k"},
			[]string{"aicluster", "kubeconfig", "--file", "k", "b.yaml"},
		},
		{
			[]string{"aicluster", "models", "push", "b.yaml", "--output=json"},
			[]string{"aicluster", "models", "push", "--output=json", "b.yaml"},
		},
		{
			[]string{"aicluster", "validate", "--", "--odd-name.yaml"},
			[]string{"aicluster", "validate", "--", "--odd-name.yaml"},
		},
		{
			[]string{"aicluster", "init", "-"},
			[]string{"aicluster", "init", "-"},
		},
		{[]string{"aicluster"}, []string{"aicluster"}},
		{[]string{"aicluster", "--help"}, []string{"aicluster", "--help"}},
	} {
		if got := interspersed(a.cli, tc.in); !slices.Equal(got, tc.want) {
			t.Errorf("%v became %v, want %v", tc.in, got, tc.want)
		}
	}
}
