package e2e

import (
	"context"
	"os"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// rawLimit is how long an answer is waited for: the real autoscaler decides once in
// 15 seconds.
const rawLimit = 2 * time.Minute

// cmdRaw asks the API server of the cloud's one cluster for a path, as "kubectl get
// --raw" does, until the answer or the error matches: "raw PATH REGEXP". With "!",
// until it does not. The last answer is in raw.json.
func cmdRaw(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: raw PATH REGEXP")
	}
	wanted, err := regexp.Compile(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), rawLimit)
	defer cancel()
	client := kubernetesOf(ts).Discovery().RESTClient()
	for {
		body, err := client.Get().RequestURI(args[0]).DoRaw(ctx)
		if err != nil {
			body = append(body, err.Error()...)
		}
		if wanted.Match(body) != neg {
			ts.Check(os.WriteFile(ts.MkAbs("raw.json"), body, 0o644))
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("after %s %s is\n%s", rawLimit, args[0], body)
		case <-time.After(volumePoll):
		}
	}
}
