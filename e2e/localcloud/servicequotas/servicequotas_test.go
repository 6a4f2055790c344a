package servicequotas_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/servicequotas"
)

func TestQuotas(t *testing.T) {
	ctx := context.Background()
	clk := clock.New(1)
	compute := ec2.New(clk, iam.New(clk))
	c := sdk.NewFromConfig(awstest.Start(t, servicequotas.New(compute).Register))
	get := func(service, code string) (*sdk.GetServiceQuotaOutput, error) {
		return c.GetServiceQuota(ctx, &sdk.GetServiceQuotaInput{ServiceCode: aws.String(service), QuotaCode: aws.String(code)})
	}
	compute.SetQuota(awstest.Region, "L-417A185B", 384)
	if q := awstest.Must(get("ec2", "L-417A185B"))(t).Quota; *q.Value != 384 || *q.QuotaName != "Running On-Demand P instances" {
		t.Errorf("quota %+v", q)
	}
	if q := awstest.Must(get("eks", "L-6D54EA21"))(t).Quota; *q.Value != 30 {
		t.Errorf("quota %+v", q)
	}
	_, err := get("ec2", "L-00000000")
	awstest.Fails(t, err, 400, "NoSuchResourceException", "the specified service quota does not exist")
	_, err = get("none", "L-417A185B")
	awstest.Fails(t, err, 400, "NoSuchResourceException", "the specified service does not exist")
	n := 0
	for p := sdk.NewListServiceQuotasPaginator(c, &sdk.ListServiceQuotasInput{ServiceCode: aws.String("ec2")}); p.HasMorePages(); {
		n += len(awstest.Must(p.NextPage(ctx))(t).Quotas)
	}
	if n != 8 {
		t.Errorf("%d quotas of ec2", n)
	}
}
