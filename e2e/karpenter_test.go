//go:build karpenter

package e2e

import (
	"os"
	"testing"
)

// TestKarpenter runs the real Karpenter against the local cloud: "make e2e-karpenter".
func TestKarpenter(t *testing.T) {
	for _, name := range []string{karpenterVariable, crdsVariable} {
		if os.Getenv(name) == "" {
			t.Fatalf("%s is not set: run make e2e-karpenter", name)
		}
	}
	runScripts(t, "testdata/karpenter", []string{karpenterVariable, crdsVariable, runsVariable}, nil)
}
