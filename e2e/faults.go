package e2e

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/rogpeppe/go-internal/testscript"
)

// What goes wrong with the cloud itself, as script commands.

// faultUsage is how "fault" is written. OPERATION is SERVICE:NAME, either with
// wildcards; N is how many calls go wrong, all if it is left out. The general form
// takes the keys of docs/local-cloud.md.
const faultUsage = `usage: fault throttle OPERATION [N]
       fault loseReply OPERATION [N]
       fault error OPERATION STATUS CODE MESSAGE [N]
       fault KIND KEY=VALUE...
       fault lift NAME
       fault clear`

// cmdFault makes the cloud go wrong.
func cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	f := of(ts)
	if len(args) == 1 && args[0] == "clear" {
		ts.Check(f.do("DELETE", "faults", nil))
		return
	}
	if neg || len(args) < 2 {
		ts.Fatalf(faultUsage)
	}
	if args[0] == "lift" {
		ts.Check(f.do("DELETE", "faults/"+args[1], nil))
		return
	}
	fault := map[string]any{"kind": args[0]}
	if strings.Contains(args[1], "=") {
		for _, arg := range args[1:] {
			key, value, _ := strings.Cut(arg, "=")
			fault[key] = scalar(value)
		}
		ts.Check(f.post("faults", fault))
		return
	}
	fault["service"], fault["operation"], _ = strings.Cut(args[1], ":")
	args = args[2:]
	if fault["kind"] == "error" {
		if len(args) < 3 {
			ts.Fatalf(faultUsage)
		}
		fault["status"], fault["code"], fault["message"] = number(ts, args[0]), args[1], args[2]
		args = args[3:]
	}
	switch len(args) {
	case 0:
	case 1:
		fault["count"] = number(ts, args[0])
	default:
		ts.Fatalf(faultUsage)
	}
	ts.Check(f.post("faults", fault))
}

// cmdFaulted waits until a fault has struck: "faulted NAME N".
func cmdFaulted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: faulted NAME N")
	}
	n := 0
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if n = of(ts).struck(args[0]); n >= number(ts, args[1]) {
			return
		}
	}
	ts.Fatalf("the fault %s has struck %d times after a minute, wanted %s", args[0], n, args[1])
}

// struck is how often a fault has struck.
func (f fixture) struck(name string) int {
	var list []struct {
		Name   string
		Struck int
	}
	f.Check(f.get("faults", &list))
	for _, fault := range list {
		if fault.Name == name {
			return fault.Struck
		}
	}
	f.Fatalf("there is no fault %s: %v", name, list)
	return 0
}

// scalar is a value as JSON has it: a number, true or false, or a text.
func scalar(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		return v
	}
	return text
}

// cmdCapacity says how many instances of a type there are to be had in a
// region: "capacity REGION TYPE N" or "capacity REGION TYPE any".
func cmdCapacity(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capacity REGION TYPE N|any")
	}
	name := "capacity-" + args[0] + "-" + args[1]
	if args[2] == "any" {
		ts.Check(of(ts).do("DELETE", "faults/"+name, nil))
		return
	}
	ts.Check(of(ts).post("faults", map[string]any{
		"name": name, "kind": "capacity", "region": args[0], "instanceType": args[1], "count": number(ts, args[2])}))
}

// cmdBrokenGPUs says how many GPUs of each instance are broken, of those that
// run and those to come: "brokengpus N".
func cmdBrokenGPUs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: brokengpus N")
	}
	if args[0] == "0" {
		ts.Check(of(ts).do("DELETE", "faults/gpus", nil))
		return
	}
	ts.Check(of(ts).post("faults", map[string]any{"name": "gpus", "kind": "brokenGPU", "gpus": number(ts, args[0])}))
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

// cmdWaitFor waits until EKS reports a status of a node group:
// "waitfor STATUS CLUSTER REGION NODEGROUP".
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: waitfor STATUS CLUSTER REGION NODEGROUP")
	}
	api := eks.NewFromConfig(of(ts).config(args[2]))
	status := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		out, err := api.DescribeNodegroup(context.Background(), &eks.DescribeNodegroupInput{ClusterName: &args[1], NodegroupName: &args[3]})
		ts.Check(err)
		if status = string(out.Nodegroup.Status); status == args[0] {
			return
		}
	}
	ts.Fatalf("node group %s is %s after a minute", args[3], status)
}
