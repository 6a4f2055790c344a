package ssm_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/ssm"
)

func TestImageParameters(t *testing.T) {
	ctx := context.Background()
	clk := clock.New(1)
	compute := ec2.New(clk, iam.New(clk))
	c := sdk.NewFromConfig(awstest.Start(t, ssm.New(compute).Register))
	const path = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia/recommended"
	id, release, _ := compute.EKSImage(awstest.Region, "AL2023_x86_64_NVIDIA", "1.35", "")
	for name, want := range map[string]string{path + "/image_id": id, path + "/release_version": release} {
		if got := *awstest.Must(c.GetParameter(ctx, &sdk.GetParameterInput{Name: aws.String(name)}))(t).Parameter.Value; got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	_, err := c.GetParameter(ctx, &sdk.GetParameterInput{Name: aws.String("/aws/service/eks/optimized-ami/1.20/amazon-linux-2023/x86_64/nvidia/recommended/image_id")})
	awstest.Fails(t, err, 400, "ParameterNotFound", "")
	for name, test := range map[string]struct {
		err   error
		words string
	}{
		"path without a slash": {second(c.GetParametersByPath(ctx, &sdk.GetParametersByPathInput{Path: aws.String("aws")})), `The parameter name must begin with a forward slash "/".`},
		"eleven at once":       {second(c.GetParameters(ctx, &sdk.GetParametersInput{Names: make([]string, 11)})), "Member must have length less than or equal to 10"},
		"eleven a page":        {second(c.GetParametersByPath(ctx, &sdk.GetParametersByPathInput{Path: aws.String("/"), MaxResults: aws.Int32(11)})), "Member must have value less than or equal to 10"},
		"no name":              {second(c.GetParameter(ctx, &sdk.GetParameterInput{Name: aws.String("")})), "Member must have length greater than or equal to 1"},
	} {
		t.Run(name, func(t *testing.T) { awstest.Fails(t, test.err, 400, "ValidationException", test.words) })
	}
	out := awstest.Must(c.GetParameters(ctx, &sdk.GetParametersInput{Names: []string{path + "/image_id", "/none"}}))(t)
	if len(out.Parameters) != 1 || len(out.InvalidParameters) != 1 {
		t.Errorf("parameters %+v", out)
	}
	byPath := awstest.Must(c.GetParametersByPath(ctx, &sdk.GetParametersByPathInput{Path: aws.String(path)}))(t).Parameters
	if len(byPath) != 2 {
		t.Errorf("%d parameters under %s", len(byPath), path)
	}
}

func second[T any](_ T, err error) error { return err }
