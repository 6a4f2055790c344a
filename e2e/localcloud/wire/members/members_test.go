package members

import (
	"testing"
	"testing/fstest"
)

func TestOf(t *testing.T) {
	source := `package p

import (
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
)

func (a api) CreateVpc(ctx context.Context, in *sdk.CreateVpcInput) (*sdk.CreateVpcOutput, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	in.Ipv6Pool = nil // is no reading
	again := *in
	use(again.TagSpecifications)
	return nil, remember(in.ClientToken, in)
}

func check(in *sdk.CreateVpcInput) error { return block(*in.CidrBlock) }

func byValue(in sdk.CreateSubnetInput) string { return *in.VpcId }

func ofAnother(in *eks.CreateClusterInput) string { return *in.Name }

func nothing(_ *sdk.DeleteVpcInput) {}

var literal = func(in *sdk.DescribeVpcsInput) []string { return in.VpcIds }
`
	const want = `CreateSubnet VpcId
CreateVpc CidrBlock ClientToken TagSpecifications
DeleteVpc
DescribeVpcs VpcIds
`
	got, err := Of(fstest.MapFS{
		"a.go":      {Data: []byte(source)},
		"a_test.go": {Data: []byte("package p\n\nfunc f(in *sdk.CreateVpcInput) { use(in.InstanceTenancy) }\n")},
	}, "ec2")
	if err != nil || got.String() != want {
		t.Errorf("%v\n%s", err, got)
	}
}
