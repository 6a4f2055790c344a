package eks

import (
	"encoding/base64"
	"strings"
	"testing"
)

const mimeHead = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"//\"\r\n\r\n"

func mimePart(kind, body string) string {
	return "--//\r\nContent-Type: " + kind + "\r\n\r\n" + strings.ReplaceAll(body, "\n", "\r\n") + "\r\n"
}

const raidConfig = `apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage:
      strategy: RAID0
  kubelet:
    config:
      maxPods: 50
    flags:
      - --node-labels=a=b,c=d
`

const clusterConfig = `apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster:
    name: x
    apiServerEndpoint: https://127.0.0.1:1
    certificateAuthority: Zm9v
    cidr: 172.20.0.0/16
`

func TestParseUserData(t *testing.T) {
	for _, test := range []struct {
		name, data string
		own        bool
		err        string
		raid0      bool
		maxPods    int
		cluster    bool
	}{
		{name: "none"},
		{name: "nodeadm", data: mimeHead + mimePart("application/node.eks.aws", raidConfig) + "--//--\r\n", raid0: true, maxPods: 50},
		{name: "merged", data: mimeHead + mimePart("application/node.eks.aws", raidConfig) + mimePart("text/x-shellscript", "#!/bin/sh\ntrue") + mimePart("application/node.eks.aws", clusterConfig) + "--//--\r\n", raid0: true, maxPods: 50, cluster: true},
		{name: "later wins", data: mimeHead + mimePart("application/node.eks.aws", raidConfig) + mimePart("application/node.eks.aws", strings.ReplaceAll(raidConfig, "RAID0", "Mount")) + "--//--\r\n", maxPods: 50},
		{name: "script", data: "#!/bin/sh\n", err: "MIME multi part format"},
		{name: "own script", data: "#!/bin/sh\n", own: true},
		{name: "own config", data: clusterConfig, own: true, cluster: true},
		{name: "not multipart", data: "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nx", err: "MIME multi part format"},
		{name: "no end", data: mimeHead + mimePart("application/node.eks.aws", raidConfig), err: "EOF"},
		{name: "unknown field", data: mimeHead + mimePart("application/node.eks.aws", strings.Replace(raidConfig, "strategy", "stratgy", 1)) + "--//--\r\n", err: "unknown field"},
		{name: "unknown strategy", data: mimeHead + mimePart("application/node.eks.aws", strings.Replace(raidConfig, "RAID0", "raid0", 1)) + "--//--\r\n", err: `unknown local storage strategy "raid0"`},
		{name: "wrong kind", data: mimeHead + mimePart("application/node.eks.aws", strings.Replace(raidConfig, "NodeConfig", "Config", 1)) + "--//--\r\n", err: "unknown node.eks.aws/v1alpha1 Config"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseUserData(base64.StdEncoding.EncodeToString([]byte(test.data)), test.own)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.raid0 != test.raid0 || got.maxPods != test.maxPods || got.cluster != test.cluster {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// What Karpenter writes into user data: "metadata" empty, taints in the kubelet's
// configuration and labels in a quoted flag.
func TestUserDataOfKarpenter(t *testing.T) {
	const config = `apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
metadata: {}
spec:
  cluster:
    name: x
    apiServerEndpoint: https://127.0.0.1:1
    certificateAuthority: Zm9v
    cidr: 172.20.0.0/16
  kubelet:
    config:
      registerWithTaints:
      - effect: NoExecute
        key: karpenter.sh/unregistered
    flags:
    - --node-labels="aicluster/pool=gpu,karpenter.sh/nodepool=gpu"
`
	got, err := parseUserData(base64.StdEncoding.EncodeToString([]byte(mimeHead+mimePart("application/node.eks.aws", config)+"--//--\r\n")), true)
	if err != nil {
		t.Fatal(err)
	}
	if got.name != "x" || got.endpoint != "https://127.0.0.1:1" || got.authority != "Zm9v" {
		t.Errorf("cluster %+v", got)
	}
	if len(got.labels) != 2 || got.labels["aicluster/pool"] != "gpu" || got.labels["karpenter.sh/nodepool"] != "gpu" {
		t.Errorf("labels %v", got.labels)
	}
	if len(got.taints) != 1 || got.taints[0].Key != "karpenter.sh/unregistered" || got.taints[0].Effect != "NoExecute" {
		t.Errorf("taints %v", got.taints)
	}
}
