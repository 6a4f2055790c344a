//go:build emulator

package e2e

import (
	"os"
	"testing"
)

// TestEmulator runs aicluster against another emulator of AWS, which we did not
// write, through nothing but AWS_ENDPOINT_URL. EMULATOR names the folder of
// scripts under testdata/emulators. The shell scripts in emulators/ start the
// server.
func TestEmulator(t *testing.T) {
	if os.Getenv("AWS_ENDPOINT_URL") == "" || os.Getenv("EMULATOR") == "" {
		t.Fatal("run make e2e-moto or make e2e-localstack")
	}
	runScripts(t, "testdata/emulators/"+os.Getenv("EMULATOR"),
		[]string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_EC2_METADATA_DISABLED", "AICLUSTER_CHART_MIRROR"}, nil)
}
