//go:build clients

package e2e

import (
	"os/exec"
	"testing"
)

// TestClients checks that clients which we did not write see the cluster that
// aicluster made. It needs kubectl in ../bin and the AWS CLI on the PATH; "make
// e2e-clients" runs it.
func TestClients(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Fatalf("the AWS CLI is needed: %v", err)
	}
	runScripts(t, "testdata/clients", nil, nil)
}
