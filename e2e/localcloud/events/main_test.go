package events_test

import (
	"os"
	"testing"

	"aicluster/e2e/localcloud/awstest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m, "events")) }
