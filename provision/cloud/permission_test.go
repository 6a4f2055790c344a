package cloud

import (
	"encoding/json"
	"testing"
)

func TestPolicyMergesPermissions(t *testing.T) {
	site := Site{Partition: "aws-cn", Region: "cn-north-1", Account: "111122223333", Cluster: "x"}
	for _, tc := range []struct {
		name        string
		permissions []Permission
		want        string
	}{
		{"one name is one statement, sorted and without doubles",
			[]Permission{
				{Sid: "Use", Actions: []string{"eks:B", "eks:A"}, Resources: []string{site.ARN("eks", "cluster/x")}},
				{Sid: "Use", Actions: []string{"eks:A"}, Resources: []string{site.ARN("eks", "addon/x/*")}},
			},
			`{"Sid":"Use","Effect":"Allow","Action":["eks:A","eks:B"],"Resource":["arn:aws-cn:eks:cn-north-1:111122223333:addon/x/*","arn:aws-cn:eks:cn-north-1:111122223333:cluster/x"]}`},
		{"one element stands without brackets, and no resource means all",
			[]Permission{Find("ec2:DescribeVpcs")},
			`{"Sid":"Find","Effect":"Allow","Action":"ec2:DescribeVpcs","Resource":"*"}`},
		{"the values of a condition add up",
			[]Permission{
				{Sid: "Pass", Actions: []string{"iam:PassRole"}, Resources: []string{site.IAM("role/a")}, Conditions: Conditions{"StringEquals": {"iam:PassedToService": {"eks"}}}},
				{Sid: "Pass", Actions: []string{"iam:PassRole"}, Resources: []string{site.IAM("role/a")}, Conditions: Conditions{"StringEquals": {"iam:PassedToService": {"ec2"}}}},
			},
			`{"Sid":"Pass","Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws-cn:iam::111122223333:role/a","Condition":{"StringEquals":{"iam:PassedToService":["ec2","eks"]}}}`},
		{"what changes is bound to the region",
			[]Permission{site.Change("ec2:CreateVpc")},
			`{"Sid":"ChangeEC2","Effect":"Allow","Action":"ec2:CreateVpc","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"cn-north-1"}}}`},
		{"the reading part",
			[]Permission{Permission{Sid: "All", Actions: []string{"s3:ListBucket", "s3:PutObject", "s3:GetObject", "ec2:DescribeVpcs"}, Resources: []string{site.S3("b")}}.Reading(), site.Change("ec2:CreateVpc").Reading()},
			`{"Sid":"All","Effect":"Allow","Action":["ec2:DescribeVpcs","s3:GetObject","s3:ListBucket"],"Resource":"arn:aws-cn:s3:::b"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			policy := NewPolicy(tc.permissions)
			got, err := json.Marshal(policy)
			if err != nil {
				t.Fatal(err)
			}
			want := `{"Version":"2012-10-17","Statement":[` + tc.want + `]}`
			if string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if size, err := policy.Size(); err != nil || size != len(want) {
				t.Errorf("its size is %d (%v), want %d", size, err, len(want))
			}
		})
	}
}
