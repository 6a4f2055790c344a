package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// ownershipTag marks what aicluster made; its value is the cluster's name.
const ownershipTag = "aicluster/cluster"

// A thing is one line of the inventory.
type thing struct {
	line, service, kind, region string
	id                          string // an ARN where the service uses ARNs, else an id or a name
	cluster                     string // of what lives in an EKS cluster
	tags                        map[string]string
}

// madeByAWS are the rules for what bears no ownership tag and is still no
// orphan: an AWS service made it, for something of ours, and takes it away with
// that. They are all there are.
var madeByAWS = []struct {
	reason string
	holds  func(t thing, cluster string) bool
}{
	{"EKS tags what it makes for a cluster or a node group: security group, launch templates, scaling groups", func(t thing, cluster string) bool {
		return t.tags["aws:eks:cluster-name"] == cluster || t.tags["eks:cluster-name"] == cluster
	}},
	{"Kubernetes' cloud controller tags load balancers and their security groups; they go with their Service", func(t thing, cluster string) bool {
		return t.tags["kubernetes.io/cluster/"+cluster] == "owned"
	}},
	{"an interface that the VPC CNI left behind when its node went, which teardown removes", func(t thing, cluster string) bool {
		return t.kind == "network-interface" && t.tags["cluster.k8s.amazonaws.com/name"] == cluster && t.tags["eks:eni:owner"] == "amazon-vpc-cni"
	}},
	{"a requester-managed interface goes with its NAT gateway, load balancer or control plane", func(t thing, _ string) bool {
		return t.kind == "network-interface" && t.tags[requesterManaged] != ""
	}},
	{"a service-linked role belongs to the account; the receipt lists it as kept", func(t thing, _ string) bool {
		return t.kind == "role" && strings.Contains(t.id, ":role/aws-service-role/")
	}},
	{"EKS makes an instance profile for each node group and deletes it with that", func(t thing, _ string) bool {
		return t.kind == "instance-profile" && strings.Contains(t.id, ":instance-profile/eks-")
	}},
	{"EKS makes the access entries of the creator and of node roles; they live in the cluster", func(t thing, cluster string) bool {
		return t.kind == "access-entry" && t.cluster == cluster
	}},
	{"EKS makes the pod identity association that CreateAddon asks for, and deletes it with the add-on", func(t thing, _ string) bool {
		return t.kind == "podidentityassociation" && t.tags[ownedByAddon] != ""
	}},
	{"a mount target has no tags and goes with its file system", func(t thing, _ string) bool { return t.kind == "mount-target" }},
	{"an object belongs to its bucket", func(t thing, _ string) bool { return t.kind == "object" }},
}

// What AWS says of a resource elsewhere than in its tags, put among them.
const (
	requesterManaged = "(requester-managed)" // of a network interface
	ownedByAddon     = "(owner)"             // of a pod identity association
)

// ownedLimit is how long a look at who owns what may be behind: EC2 is eventually
// consistent, and things come and go while it is read.
const ownedLimit = 10 * time.Second

// cmdOwned checks that everything that is new in the account since the cloud
// started was made for one cluster: "owned NAME". AWS's own calls say whose it is.
func cmdOwned(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: owned CLUSTER")
	}
	before := strings.Split(ts.ReadFile(startInventory), "\n")
	deadline := time.Now().Add(ownedLimit)
	for {
		orphans, err := of(ts).unowned(args[0], before)
		switch {
		case err == nil && len(orphans) == 0:
			return
		case time.Now().Before(deadline):
			time.Sleep(natPoll)
			continue
		}
		ts.Check(err)
		ts.Fatalf("without the tag %s=%s, and not made by AWS itself:\n  %s", ownershipTag, args[0], strings.Join(orphans, "\n  "))
	}
}

// unowned lists what is not among before and was not made for the cluster.
func (c *cloud) unowned(cluster string, before []string) ([]string, error) {
	var services map[string][]string
	if err := c.get("inventory", &services); err != nil {
		return nil, err
	}
	var orphans []string
	for service, lines := range services {
		for _, line := range lines {
			if slices.Contains(before, line) {
				continue
			}
			t := parseThing(service, line)
			var err error
			if t.tags, err = c.tagsOf(t); err != nil {
				return nil, fmt.Errorf("reading the tags of %s: %w", line, err)
			}
			if !belongs(t, cluster) {
				orphans = append(orphans, fmt.Sprintf("%s, tags %v", line, t.tags))
			}
		}
	}
	slices.Sort(orphans)
	return orphans, nil
}

func belongs(t thing, cluster string) bool {
	if t.tags[ownershipTag] == cluster {
		return true
	}
	for _, rule := range madeByAWS {
		if rule.holds(t, cluster) {
			return true
		}
	}
	return false
}

// parseThing reads an inventory line. Its form is the service's own:
//
//	ec2/KIND REGION/ID NAME            logs|sqs|events/KIND REGION NAME
//	iam/KIND ARN NAME                  elbv2/KIND ARN NAME
//	REGION/KIND/NAME (Auto Scaling)    REGION/KIND/NAME (S3)
//	REGION/KIND/CLUSTER/NAME (EKS)
func parseThing(service, line string) thing {
	t := thing{line: line, service: service}
	words := strings.Fields(line)
	switch service {
	case "ec2", "efs":
		t.kind = strings.TrimPrefix(words[0], service+"/")
		t.region, t.id, _ = strings.Cut(words[1], "/")
	case "iam", "elbv2":
		t.kind, t.id = strings.TrimPrefix(words[0], service+"/"), words[1]
		if parts := strings.Split(t.id, ":"); len(parts) > 3 {
			t.region = parts[3]
		}
	case "logs", "sqs", "events":
		t.kind, t.region, t.id = strings.TrimPrefix(words[0], service+"/"), words[1], words[2]
	default:
		parts := strings.SplitN(line, "/", 3)
		t.region, t.kind, t.id = parts[0], parts[1], parts[2]
		if service == "eks" {
			t.cluster, t.id, _ = strings.Cut(t.id, "/")
		}
	}
	return t
}
