// Package e2e runs the real aicluster binary against the local cloud, as
// scripts (testdata/*.txtar). Each script has a cloud of its own; after each,
// what must always hold is checked: see invariants.go.
package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestScripts(t *testing.T) { runScripts(t, "testdata", nil, nil) }

// runScripts runs the scripts of a folder side by side, with variables of the
// test's own environment besides the usual ones, and a table for their teardowns.
func runScripts(t *testing.T, dir string, variables []string, rows *table) {
	t.Helper()
	bin, err := filepath.Abs("../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"aicluster", "localcloud"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			t.Fatalf("%v: run make build first", err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			for _, name := range variables {
				env.Setenv(name, os.Getenv(name))
			}
			env.Values[cloudKey{}] = &cloud{}
			if rows != nil {
				env.Values[tableKey{}] = rows
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"account":    cmdAccount,
			"aicluster":  cmdAicluster,
			"blocker":    cmdBlocker,
			"apply":      cmdApply,
			"brokengpus": cmdBrokenGPUs,
			"budget":     cmdBudget,
			"byhand":     cmdByHand,
			"called":     cmdCalled,
			"calls":      cmdCalls,
			"capacity":   cmdCapacity,
			"cloud":      cmdCloud,
			"count":      cmdCount,
			"covered":    cmdCovered,
			"drift":      cmdDrift,
			"emptied":    cmdEmptied,
			"exits":      cmdExits,
			"fault":      cmdFault,
			"faulted":    cmdFaulted,
			"handset":    cmdHandSet,
			"finds":      cmdFinds,
			"inventory":  cmdInventory,
			"jsonpath":   cmdJSONPath,
			"killed":     cmdKilled,
			"killplane":  cmdKillPlane,
			"load":       cmdLoad,
			"lbc":        cmdLBC,
			"logging":    cmdLogging,
			"modelfiles": cmdModelFiles,
			"network":    cmdNetwork,
			"object":     cmdObject,
			"owned":      cmdOwned,
			"policy":     cmdPolicy,
			"protect":    cmdProtect,
			"pvc":        cmdPVC,
			"raw":        cmdRaw,
			"release":    cmdRelease,
			"service":    cmdService,
			"settled":    cmdSettled,
			"signal":     cmdSignal,
			"single":     cmdSingle,
			"takenaway":  cmdTakenAway,
			"unblock":    cmdUnblock,
			"unchanged":  cmdUnchanged,
			"waitfor":    cmdWaitFor,
		},
	})
}
