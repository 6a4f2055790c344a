package e2e

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdUnblock takes away what "blocker" put into a VPC, as its owner would: "unblock
// instance|interface|mounttarget|securitygroup|endpoint REGION ID". It returns once
// nothing of it holds the VPC.
func cmdUnblock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: unblock KIND REGION ID")
	}
	f := of(ts)
	u := unblocker{ec2: ec2.NewFromConfig(f.config(args[1])), efs: efs.NewFromConfig(f.config(args[1])), id: args[2]}
	remove := map[string]func(context.Context) error{
		"instance": u.instance, "interface": u.networkInterface, "mounttarget": u.mountTarget,
		"securitygroup": u.securityGroup, "endpoint": u.endpoint,
	}[args[0]]
	if remove == nil {
		ts.Fatalf("unblock does not know %q", args[0])
	}
	before := strings.Split(strings.TrimSuffix(ts.ReadFile(startInventory), "\n"), "\n")
	ctx, cancel := context.WithTimeout(context.Background(), blockerLimit)
	defer cancel()
	ts.Check(remove(ctx))
	var still []string
	for end := time.Now().Add(blockerLimit); time.Now().Before(end); time.Sleep(blockerPoll) {
		now, err := f.inventory()
		ts.Check(err)
		still = slices.DeleteFunc(slices.Clone(before), func(line string) bool { return !slices.Contains(now, line) })
		if len(still) < len(before) && !slices.ContainsFunc(still, func(line string) bool {
			return strings.Contains(line, args[2]) || strings.HasPrefix(line, "ec2/network-interface")
		}) {
			ts.Check(os.WriteFile(ts.MkAbs(startInventory), []byte(strings.Join(still, "\n")+"\n"), 0o644))
			return
		}
	}
	ts.Fatalf("%s is still there after %s:\n  %s", args[2], blockerLimit, strings.Join(still, "\n  "))
}

// unblocker removes a thing by its id.
type unblocker struct {
	ec2 *ec2.Client
	efs *efs.Client
	id  string
}

func (u unblocker) instance(ctx context.Context) error {
	_, err := u.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{u.id}})
	return err
}

func (u unblocker) networkInterface(ctx context.Context) error {
	_, err := u.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &u.id})
	return err
}

func (u unblocker) mountTarget(ctx context.Context) error {
	_, err := u.efs.DeleteMountTarget(ctx, &efs.DeleteMountTargetInput{MountTargetId: &u.id})
	return err
}

func (u unblocker) securityGroup(ctx context.Context) error {
	_, err := u.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &u.id})
	return err
}

func (u unblocker) endpoint(ctx context.Context) error {
	_, err := u.ec2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{u.id}})
	return err
}
