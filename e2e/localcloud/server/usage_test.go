package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// The admin endpoint tells what of a role's policies was used, what was not, and
// what they refused.
func TestPermissionReport(t *testing.T) {
	c, admin := startCloud(t)
	cfg := operator(t, admin, `{"Version":"2012-10-17","Statement":[{"Sid":"Find","Effect":"Allow","Action":["ec2:DescribeVpcs","ec2:DescribeSubnets"],"Resource":"*"}]}`)
	me, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	role := strings.Split(*me.Arn, "/")[1]
	if _, err := ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ec2.NewFromConfig(cfg).DescribeAddresses(t.Context(), nil); err == nil {
		t.Fatal("a call that the policy does not allow was allowed")
	}
	got := getPermissions(t, c, role)
	want := permissionReport{
		Role: role, Used: []string{"Find Action ec2:DescribeVpcs", "Find Resource *"}, Unused: []string{"Find Action ec2:DescribeSubnets"},
		Denied: []string{"ec2:DescribeAddresses on *"},
	}
	if text(got) != text(want) {
		t.Errorf("got  %s\nwant %s", text(got), text(want))
	}
}

func getPermissions(t *testing.T, c *Cloud, role string) permissionReport {
	t.Helper()
	resp, err := http.Get(c.URL() + adminPath + "permissions?role=" + role)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var r permissionReport
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
