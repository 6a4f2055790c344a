package nodepools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
)

// looks is how often in a row a fault must be seen before it counts: Auto
// Scaling tries other zones and types by itself.
const looks = 3

// capacityGrace is how long Auto Scaling may go on looking for instances in
// zones where it has not failed yet. With a quarter of an hour until EKS itself
// gives up, and GPU nodes of the other pools waiting at their price, it is short.
const capacityGrace = 60 * time.Second

// watch follows a node group that lacks nodes, and decides when that does not
// heal by itself.
type watch struct {
	group *NodeGroup
	// resumed says that the node group was there before: what it reports at the
	// first look may be over since, as a lack of capacity often is.
	resumed bool

	old   map[string]bool // launches that a resumed watch found at its first look
	seen  int             // looks in a row at which there was a fault
	first time.Time       // the first of them
}

// fault is why there are no nodes.
type fault struct {
	err      error    // with AWS's code and words
	zones    []string // in which launches failed, sorted; empty when unknown
	launches int      // that failed

	instances []string // that run and are no nodes, as EKS names them
}

// look reads the causes and returns an error once one has proved lasting.
func (w *watch) look(ctx context.Context) error {
	f, err := w.fault(ctx)
	if err != nil {
		return err
	}
	if f == nil {
		w.seen = 0
		return nil
	}
	if w.seen == 0 {
		w.first = time.Now()
	}
	w.seen++
	mayHeal := cloud.IsCapacity(f.err) && !w.triedAll(f) || w.resumed && f.launches == 0
	if w.seen < looks || mayHeal && time.Since(w.first) < capacityGrace {
		return nil
	}
	return w.failure(f)
}

// triedAll tells whether launches have failed in each of the pool's zones, or
// oftener than there are zones, which Auto Scaling goes through in turn.
func (w *watch) triedAll(f *fault) bool {
	missing := slices.DeleteFunc(slices.Clone(w.group.zones), func(z string) bool { return slices.Contains(f.zones, z) })
	return f.launches > len(w.group.zones) || f.launches > 0 && len(missing) == 0
}

// fault is the cause of missing nodes at this moment, or nil: Auto Scaling's own
// account of its launches, which is the first to know, else EKS's health issues.
func (w *watch) fault(ctx context.Context) (*fault, error) {
	if g := w.group; g.asg != nil {
		if g.asg.running() >= g.asg.desired {
			return w.joinFault(), nil
		}
		launches, err := readLaunches(ctx, g.scaling, g.asg.name)
		if err != nil {
			return nil, err
		}
		if f := launchFault(w.fresh(launches)); f != nil {
			return f, nil
		}
	}
	if list := issues(w.group.live); len(list) > 0 {
		return issueFault(list), nil
	}
	return nil, nil
}

// fresh leaves out the launches of before the watch began.
func (w *watch) fresh(launches []launch) []launch {
	if w.resumed && w.old == nil {
		w.old = map[string]bool{}
		for _, l := range launches {
			w.old[l.id] = true
		}
	}
	return slices.DeleteFunc(launches, func(l launch) bool { return w.old[l.id] })
}

// joinFault is about instances that run and do not become nodes: a fault only if
// EKS has found it to be one.
func (w *watch) joinFault() *fault {
	list := slices.DeleteFunc(slices.Clone(issues(w.group.live)), func(i types.Issue) bool {
		return i.Code == types.NodegroupIssueCodeAsgInstanceLaunchFailures // of a launch before those that run
	})
	if len(list) == 0 {
		return nil
	}
	return issueFault(list)
}

// launchFault is the newest failure since the last launch that did not fail.
func launchFault(launches []launch) *fault {
	var f *fault
	for _, l := range launches {
		if !l.failed {
			break
		}
		if f == nil {
			f = &fault{err: cloud.LaunchError(l.words, string(types.NodegroupIssueCodeAsgInstanceLaunchFailures))}
		}
		f.launches++
		if l.zone != "" {
			f.zones = sortedSet(append(f.zones, l.zone))
		}
	}
	return f
}

// issueFault is the first issue that tells a cause. EKS lists one per instance
// that did not come, most of them echoes of another (eksctl #4732).
func issueFault(list []types.Issue) *fault {
	issue := list[0]
	for _, i := range list {
		if i.Code != types.NodegroupIssueCodeNodeCreationFailure {
			issue = i
			break
		}
	}
	f := &fault{err: cloud.LaunchError(aws.ToString(issue.Message), string(issue.Code))}
	if issue.Code == types.NodegroupIssueCodeNodeCreationFailure {
		f.instances = slices.DeleteFunc(slices.Clone(issue.ResourceIds), func(id string) bool { return !strings.HasPrefix(id, "i-") })
	}
	if zone := cloud.LaunchZone(aws.ToString(issue.Message)); zone != "" {
		f.zones = []string{zone}
	}
	return f
}

func sortedSet(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// failure says which pool has no nodes, where, why in AWS's words, and what to do.
func (w *watch) failure(f *fault) error {
	err := cloud.Wrap(w.group.ID(), w.doing(f), f.err)
	var e *cloud.Error
	if !errors.As(err, &e) {
		return err
	}
	kinds := strings.Join(w.group.pool.InstanceTypes, " or ")
	switch {
	case cloud.IsCapacity(f.err) && w.group.live.Status == types.NodegroupStatusCreateFailed:
		e.Hint = fmt.Sprintf("AWS has no %s there now: give the pool more instance types or other zones, or run 'aicluster up' again later; it deletes the failed node group and makes it again", kinds)
	case cloud.IsCapacity(f.err):
		e.Hint = fmt.Sprintf("AWS has no %s there now: give the pool more instance types or other zones, or run 'aicluster up' again later; the node group goes on trying until then", kinds)
	case cloud.IsQuota(f.err):
		e.Hint = fmt.Sprintf("ask for more vCPUs of %s in Service Quotas, or make the pool smaller; then run 'aicluster up' again", w.group.quotas())
	default:
		e.Hint = issueHint(e.Code)
		if len(f.instances) > 0 {
			e.Hint += "; what they say of it: aws ec2 get-console-output --latest --instance-id " + f.instances[0]
		}
	}
	return err
}

// quotas are those that the pool's instances count against.
func (g *NodeGroup) quotas() string {
	var names []string
	for _, kind := range g.pool.InstanceTypes {
		name := cloud.VCPUQuota(kind, capacityType(g.pool.Capacity) == types.CapacityTypesSpot)
		if name == "" {
			name = kind
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// doing says how far the pool has come and in which zones.
func (w *watch) doing(f *fault) string {
	g, zones := w.group, f.zones
	if len(zones) == 0 {
		zones = g.zones
	}
	running, desired := 0, g.pool.Nodes.Min
	if g.asg != nil {
		running, desired = g.asg.inService(), g.asg.desired
	}
	return fmt.Sprintf("waiting for nodes (%d of %d instances run; zones %s)", running, desired, strings.Join(zones, ", "))
}

// final is the error of a node group that EKS has given up.
func (w *watch) final(ctx context.Context) error {
	w.resumed, w.old = false, nil // it ended now, whenever its launches failed
	f, err := w.fault(ctx)
	if err != nil {
		return err
	}
	if f == nil {
		return cloud.Fail(w.group.ID(), "waiting for nodes", "EKS reports the node group as "+strings.ToLower(string(w.group.live.Status)),
			"'aicluster up' deletes it and makes it again")
	}
	return w.failure(f)
}

// issueHint is what to do about EKS's health issues (API reference, Issue) and
// about launches that fail for another reason than capacity or quota.
func issueHint(code string) string {
	switch code {
	case "InsufficientFreeAddressesInSubnet":
		code = string(types.NodegroupIssueCodeInsufficientFreeAddresses)
	case "InvalidFleetConfiguration":
		return "a zone does not offer an instance type: name zones in the pool that do"
	}
	switch types.NodegroupIssueCode(code) {
	case types.NodegroupIssueCodeNodeCreationFailure:
		return "instances run and do not join: check that the subnets have a way to the internet (network.natGateways), that the vpc-cni add-on is healthy, and that the AMI release works (amiRelease pins another one)"
	case types.NodegroupIssueCodeInsufficientFreeAddresses:
		return "the subnets are out of addresses: use a larger network.cidr, or fewer nodes"
	case types.NodegroupIssueCodeAccessDenied, types.NodegroupIssueCodeIamNodeRoleNotFound, types.NodegroupIssueCodeIamInstanceProfileNotFound:
		return "the nodes' role is missing or lacks rights: 'aicluster up' puts it right"
	case types.NodegroupIssueCodeEc2SubnetNotFound, types.NodegroupIssueCodeEc2SecurityGroupNotFound, types.NodegroupIssueCodeEc2LaunchTemplateNotFound:
		return "something that the node group stands on was deleted: 'aicluster up' makes it again, but the pool needs another name"
	}
	return "mend the cause and run 'aicluster up' again"
}

// Failure is why the pool lacks nodes right now, in AWS's words and with what to do
// about it; nil if it lacks none, or if AWS has not said why. It goes by the last
// Observe. Unlike a wait it does not give AWS time to heal.
func (g *NodeGroup) Failure(ctx context.Context) error {
	if g.live == nil {
		return nil
	}
	w := &watch{group: g}
	f, err := w.fault(ctx)
	if err != nil {
		return cloud.Wrap(g.ID(), "reading its scaling activities", err)
	}
	if f == nil {
		return nil
	}
	return w.failure(f)
}
