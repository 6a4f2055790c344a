package cloud

import (
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

func TestVCPUQuota(t *testing.T) {
	tests := []struct {
		kind string
		spot bool
		want string
	}{
		{"p4d.24xlarge", false, "L-417A185B"},
		{"p4d.24xlarge", true, "L-7212CCBC"},
		{"p5.48xlarge", true, "L-C4BD4855"},
		{"g5.xlarge", true, "L-3819A6DF"},
		{"g6e.xlarge", false, "L-DB2E81BA"},
		{"m6i.large", false, "L-1216C47A"},
		{"c6i.large", true, "L-34B43A08"},
		{"inf2.xlarge", false, ""},
		{"trn1.2xlarge", false, ""},
		{"", false, ""},
	}
	for _, test := range tests {
		if got := VCPUQuota(test.kind, test.spot); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s, spot=%v: %q, want %q", test.kind, test.spot, got, test.want)
		}
	}
}

// A quota's hint names that quota, and nothing that does not help.
func TestQuotaHint(t *testing.T) {
	for code, want := range map[string]string{
		"VpcLimitExceeded": "L-F678F1CE", "AddressLimitExceeded": "L-0263D0A3", "NatGatewayLimitExceeded": "L-FE5A380F",
		"ResourceLimitExceededException": "delete what is not needed", "VcpuLimitExceeded": "make the pool smaller",
	} {
		if got := hint(&smithy.GenericAPIError{Code: code}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", code, got)
		}
	}
}
