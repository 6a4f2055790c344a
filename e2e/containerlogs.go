package e2e

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdLogged waits until a log group has lines with a word, and writes them to
// logged.txt as "STREAM: MESSAGE": "logged REGION GROUP WORD".
func cmdLogged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: logged REGION GROUP WORD")
	}
	ctx, cancel := context.WithTimeout(context.Background(), volumeLimit)
	defer cancel()
	api := cloudwatchlogs.NewFromConfig(of(ts).config(args[0]))
	for {
		var lines []string
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(api, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &args[1], FilterPattern: &args[2]})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			ts.Check(err)
			for _, e := range page.Events {
				lines = append(lines, *e.LogStreamName+": "+*e.Message)
			}
		}
		if len(lines) > 0 {
			ts.Check(os.WriteFile(ts.MkAbs("logged.txt"), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("no line of %s has %q", args[1], args[2])
		case <-time.After(volumePoll):
		}
	}
}
