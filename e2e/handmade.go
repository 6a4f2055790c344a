package e2e

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// What somebody does to a cluster by hand, past aicluster, as script commands.

// cmdProtect switches a cluster's deletion protection, as the AWS CLI does:
// "protect on|off CLUSTER REGION". It waits for the update.
func cmdProtect(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || args[0] != "on" && args[0] != "off" {
		ts.Fatalf("usage: protect on|off CLUSTER REGION")
	}
	change(ts, args[2], &eks.UpdateClusterConfigInput{Name: &args[1], DeletionProtection: aws.Bool(args[0] == "on")})
}

// cmdLogging switches a cluster's audit log on: "logging CLUSTER REGION".
func cmdLogging(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: logging CLUSTER REGION")
	}
	change(ts, args[1], &eks.UpdateClusterConfigInput{Name: &args[0], Logging: &types.Logging{
		ClusterLogging: []types.LogSetup{{Enabled: aws.Bool(true), Types: []types.LogType{types.LogTypeAudit}}},
	}})
}

// change updates a cluster and waits until that is done.
func change(ts *testscript.TestScript, region string, in *eks.UpdateClusterConfigInput) {
	ctx := context.Background()
	api := eks.NewFromConfig(of(ts).config(region))
	out, err := api.UpdateClusterConfig(ctx, in)
	ts.Check(err)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		u, err := api.DescribeUpdate(ctx, &eks.DescribeUpdateInput{Name: in.Name, UpdateId: out.Update.Id})
		ts.Check(err)
		if u.Update.Status == types.UpdateStatusSuccessful {
			return
		}
	}
	ts.Fatalf("the update %s has not ended after a minute", *out.Update.Id)
}

// cmdCalled compares how often an operation was called: "called N SERVICE:OPERATION".
func cmdCalled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: called N SERVICE:OPERATION")
	}
	var ops operations
	ts.Check(of(ts).get("calls", &ops))
	n := 0
	for _, c := range ops.Calls {
		if c.Service+":"+c.Operation == args[1] {
			n += c.Count
		}
	}
	if n != number(ts, args[0]) {
		ts.Fatalf("%s was called %d times, wanted %s", args[1], n, args[0])
	}
}
