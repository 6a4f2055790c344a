package eks

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/ec2"
)

// The figures for allocatable are those that Karpenter documents for the types.
func TestResources(t *testing.T) {
	for _, test := range []struct {
		name             string
		info             ec2.TypeInfo
		boot             bootConfig
		pods, cpu, memMi int64
	}{
		{"c6i.xlarge", ec2.TypeInfo{VCPUs: 4, MemoryMiB: 8192, CardENIs: 4, IPsPerENI: 15}, bootConfig{}, 58, 3920, 6584},
		{"p4d.24xlarge", ec2.TypeInfo{VCPUs: 96, MemoryMiB: 1179648, CardENIs: 15, IPsPerENI: 50}, bootConfig{maxPods: 737}, 737, 95690, 1082712},
		{"p4d.24xlarge capped", ec2.TypeInfo{VCPUs: 96, MemoryMiB: 1179648, CardENIs: 15, IPsPerENI: 50}, bootConfig{}, 250, 95690, 1088069},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, got := resources(test.info, test.boot, 100)
			if n := got.Pods().Value(); n != test.pods {
				t.Errorf("pods %d, want %d", n, test.pods)
			}
			if n := got.Cpu().MilliValue(); n != test.cpu {
				t.Errorf("cpu %dm, want %dm", n, test.cpu)
			}
			if n := got.Memory().Value() >> 20; n < test.memMi-1 || n > test.memMi+1 {
				t.Errorf("memory %d Mi, want %d Mi", n, test.memMi)
			}
		})
	}
}

func TestResourcesOfRaid(t *testing.T) {
	info := ec2.TypeInfo{VCPUs: 96, MemoryMiB: 1179648, CardENIs: 15, IPsPerENI: 50, NVMeGB: 8000}
	capacity, _ := resources(info, bootConfig{raid0: true}, 100)
	if n := capacity.StorageEphemeral().Value(); n != 8000*1e9 {
		t.Errorf("ephemeral storage %d", n)
	}
}

func TestVersionStatus(t *testing.T) {
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for minor, want := range map[string]types.VersionStatus{
		"1.31": types.VersionStatusExtendedSupport, "1.33": types.VersionStatusExtendedSupport,
		"1.34": types.VersionStatusStandardSupport, "1.36": types.VersionStatusStandardSupport,
	} {
		v, _ := findVersion(minor)
		if got := v.status(at); got != want {
			t.Errorf("%s is %s, want %s", minor, got, want)
		}
	}
	v, _ := findVersion("1.31")
	if got := v.status(at.AddDate(0, 0, 3)); got != types.VersionStatusUnsupported {
		t.Errorf("1.31 three days later is %s", got)
	}
}

func TestServiceRange(t *testing.T) {
	for _, test := range []struct{ vpc, asked, want, err string }{
		{"10.42.0.0/20", "", "172.20.0.0/16", ""},
		{"172.31.0.0/20", "", "10.100.0.0/16", ""},
		{"10.42.0.0/20", "192.168.0.0/20", "192.168.0.0/20", ""},
		{"10.42.0.0/20", "10.42.0.0/16", "", "overlaps"},
		{"10.42.0.0/20", "8.8.8.0/24", "", "not valid"},
		{"10.42.0.0/20", "192.168.0.0/25", "", "not valid"},
	} {
		var in *types.KubernetesNetworkConfigRequest
		if test.asked != "" {
			in = &types.KubernetesNetworkConfigRequest{ServiceIpv4Cidr: aws.String(test.asked)}
		}
		got, err := serviceRange("c", in, []string{test.vpc})
		if got != test.want || (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%+v: got %q, %v", test, got, err)
		}
	}
}

func TestPrincipal(t *testing.T) {
	for in, want := range map[string]string{
		"arn:aws:iam::111122223333:user/tester":                   "arn:aws:iam::111122223333:user/tester",
		"arn:aws:sts::111122223333:assumed-role/admin/session":    "arn:aws:iam::111122223333:role/admin",
		"arn:aws:sts::111122223333:federated-user/someone":        "arn:aws:sts::111122223333:federated-user/someone",
		"arn:aws:sts::111122223333:assumed-role/admin/i-12/other": "arn:aws:iam::111122223333:role/admin",
	} {
		if got := principal(in); got != want {
			t.Errorf("principal(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestDescribeClusterVersions(t *testing.T) {
	s := &Service{}
	for _, test := range []struct {
		name string
		in   eks.DescribeClusterVersionsInput
		want []string
	}{
		{"default only", eks.DescribeClusterVersionsInput{DefaultOnly: aws.Bool(true)}, []string{"1.35"}},
		{"named", eks.DescribeClusterVersionsInput{ClusterVersions: []string{"1.31"}}, []string{"1.31"}},
		{"all", eks.DescribeClusterVersionsInput{IncludeAll: aws.Bool(true)}, []string{"1.36", "1.35", "1.34", "1.33", "1.32", "1.31"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := s.DescribeClusterVersions(t.Context(), &test.in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range out.ClusterVersions {
				got = append(got, *v.ClusterVersion)
			}
			if strings.Join(got, " ") != strings.Join(test.want, " ") {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
