// Package e2e runs the real aicluster binary against the local cloud, as
// scripts (testdata/*.txtar). Each script has a cloud of its own; after each,
// what must always hold is checked: see invariants.go.
package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, "testdata", nil, nil)
}

// TestAutoscaler runs the scripts about the cluster autoscaler: with the stand-in in
// the local cloud, or with the real program if CLUSTER_AUTOSCALER names it.
func TestAutoscaler(t *testing.T) {
	t.Parallel()
	runs := &cycles{}
	t.Cleanup(func() {
		out, err := os.Create("../bin/autoscaler.txt")
		if err == nil {
			err = runs.write(out)
		}
		if err != nil {
			t.Error(err)
		}
	})
	runScripts(t, "testdata/autoscaler", []string{autoscalerVariable, runsVariable}, map[any]any{cyclesKey{}: runs})
}

// runScripts runs the scripts of a folder side by side, with variables of the
// test's own environment besides the usual ones, and with values for their commands.
func runScripts(t *testing.T, dir string, variables []string, values map[any]any) {
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
			maps.Copy(env.Values, values)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"account":       cmdAccount,
			"aicluster":     cmdAicluster,
			"becomes":       cmdBecomes,
			"apply":         cmdApply,
			"autoscaler":    cmdAutoscaler,
			"balancer":      cmdBalancer,
			"blocker":       cmdBlocker,
			"brokengpus":    cmdBrokenGPUs,
			"budget":        cmdBudget,
			"byhand":        cmdByHand,
			"called":        cmdCalled,
			"calls":         cmdCalls,
			"capacity":      cmdCapacity,
			"cloud":         cmdCloud,
			"connects":      cmdConnects,
			"count":         cmdCount,
			"covered":       cmdCovered,
			"cycles":        cmdCycles,
			"crashes":       cmdCrashes,
			"crowd":         cmdCrowd,
			"drift":         cmdDrift,
			"emptied":       cmdEmptied,
			"event":         cmdEvent,
			"exits":         cmdExits,
			"fault":         cmdFault,
			"faulted":       cmdFaulted,
			"handset":       cmdHandSet,
			"finds":         cmdFinds,
			"hasty":         cmdHasty,
			"inventory":     cmdInventory,
			"jsonpath":      cmdJSONPath,
			"karpenter":     cmdKarpenter,
			"killed":        cmdKilled,
			"killplane":     cmdKillPlane,
			"load":          cmdLoad,
			"lbc":           cmdLBC,
			"logged":        cmdLogged,
			"logging":       cmdLogging,
			"machines":      cmdMachines,
			"machinecycles": cmdMachineCycles,
			"misread":       cmdMisread,
			"modelfiles":    cmdModelFiles,
			"mountfails":    cmdMountFails,
			"network":       cmdNetwork,
			"object":        cmdObject,
			"owned":         cmdOwned,
			"pods":          cmdPods,
			"policy":        cmdPolicy,
			"pool":          cmdPool,
			"protect":       cmdProtect,
			"pvc":           cmdPVC,
			"raw":           cmdRaw,
			"reads":         cmdReads,
			"release":       cmdRelease,
			"replicas":      cmdReplicas,
			"requests":      cmdRequests,
			"service":       cmdService,
			"settled":       cmdSettled,
			"signal":        cmdSignal,
			"single":        cmdSingle,
			"takenaway":     cmdTakenAway,
			"tlssecret":     cmdTLSSecret,
			"unblock":       cmdUnblock,
			"unchanged":     cmdUnchanged,
			"unroute":       cmdUnroute,
			"waitfor":       cmdWaitFor,
		},
	})
}
