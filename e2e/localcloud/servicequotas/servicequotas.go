// Package servicequotas plays Service Quotas for EC2, the VPC and EKS. The
// values of the first two are those that the local EC2 enforces.
package servicequotas

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sq "github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas/types"

	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

// Service is Service Quotas of all regions.
type Service struct{ ec2 *ec2.Service }

// New returns the quotas of the account that e belongs to.
func New(e *ec2.Service) *Service { return &Service{ec2: e} }

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("servicequotas", "servicequotas", goFiles)
	wire.Handle(w, "servicequotas", s.listServices)
	wire.Handle(w, "servicequotas", s.getServiceQuota)
	wire.Handle(w, "servicequotas", s.listServiceQuotas)
	wire.Handle(w, "servicequotas", s.getDefault)
	wire.Handle(w, "servicequotas", s.listDefaults)
}

// Inventory is empty: a quota is nothing that exists.
func (s *Service) Inventory() []string { return nil }

func serviceNames() map[string]string {
	return map[string]string{
		"ec2": "Amazon Elastic Compute Cloud (Amazon EC2)", "vpc": "Amazon Virtual Private Cloud (Amazon VPC)", "eks": "Amazon Elastic Kubernetes Service (Amazon EKS)",
	}
}

// quotas lists those of a service (EKS: User Guide, "Amazon EKS service quotas").
func (s *Service) quotas(region, service string) ([]ec2.Quota, error) {
	if _, ok := serviceNames()[service]; !ok {
		return nil, &types.NoSuchResourceException{Message: aws.String("The request failed because the specified service does not exist.")}
	}
	all := append(s.ec2.Quotas(region),
		ec2.Quota{Service: "eks", Code: "L-1194D53C", Name: "Clusters", Default: 100, Value: 100, Adjustable: true},
		ec2.Quota{Service: "eks", Code: "L-6D54EA21", Name: "Managed node groups per cluster", Default: 30, Value: 30, Adjustable: true},
		ec2.Quota{Service: "eks", Code: "L-BD136A63", Name: "Nodes per managed node group", Default: 450, Value: 450, Adjustable: true},
		ec2.Quota{Service: "eks", Code: "L-11CC1BCB", Name: "Control plane security groups per cluster", Default: 4, Value: 4},
	)
	return slices.DeleteFunc(all, func(q ec2.Quota) bool { return q.Service != service }), nil
}

func output(region string, q ec2.Quota, value float64) types.ServiceQuota {
	return types.ServiceQuota{
		ServiceCode: aws.String(q.Service), ServiceName: aws.String(serviceNames()[q.Service]), QuotaCode: aws.String(q.Code), QuotaName: aws.String(q.Name),
		QuotaArn: aws.String(fmt.Sprintf("arn:aws:servicequotas:%s:%s:%s/%s", region, wire.AccountID, q.Service, q.Code)), Value: aws.Float64(value),
		Unit: aws.String("None"), Adjustable: q.Adjustable, QuotaAppliedAtLevel: types.AppliedLevelEnumAccount,
	}
}

func (s *Service) find(region, service, code string) (ec2.Quota, error) {
	all, err := s.quotas(region, service)
	if err != nil {
		return ec2.Quota{}, err
	}
	i := slices.IndexFunc(all, func(q ec2.Quota) bool { return q.Code == code })
	if i < 0 {
		return ec2.Quota{}, &types.NoSuchResourceException{Message: aws.String("The request failed because the specified service quota does not exist.")}
	}
	return all[i], nil
}

func (s *Service) listServices(context.Context, *sq.ListServicesInput) (*sq.ListServicesOutput, error) {
	out := &sq.ListServicesOutput{}
	for code, name := range serviceNames() {
		out.Services = append(out.Services, types.ServiceInfo{ServiceCode: aws.String(code), ServiceName: aws.String(name)})
	}
	slices.SortFunc(out.Services, func(a, b types.ServiceInfo) int { return strings.Compare(*a.ServiceCode, *b.ServiceCode) })
	return out, nil
}

func (s *Service) getServiceQuota(ctx context.Context, in *sq.GetServiceQuotaInput) (*sq.GetServiceQuotaOutput, error) {
	region := wire.Region(ctx)
	q, err := s.find(region, *in.ServiceCode, *in.QuotaCode)
	if err != nil {
		return nil, err
	}
	out := output(region, q, q.Value)
	return &sq.GetServiceQuotaOutput{Quota: &out}, nil
}

func (s *Service) listServiceQuotas(ctx context.Context, in *sq.ListServiceQuotasInput) (*sq.ListServiceQuotasOutput, error) {
	region := wire.Region(ctx)
	all, err := s.quotas(region, *in.ServiceCode)
	if err != nil {
		return nil, err
	}
	out := &sq.ListServiceQuotasOutput{}
	for _, q := range all {
		if in.QuotaCode == nil || *in.QuotaCode == q.Code {
			out.Quotas = append(out.Quotas, output(region, q, q.Value))
		}
	}
	return out, nil
}

func (s *Service) getDefault(ctx context.Context, in *sq.GetAWSDefaultServiceQuotaInput) (*sq.GetAWSDefaultServiceQuotaOutput, error) {
	region := wire.Region(ctx)
	q, err := s.find(region, *in.ServiceCode, *in.QuotaCode)
	if err != nil {
		return nil, err
	}
	out := output(region, q, q.Default)
	return &sq.GetAWSDefaultServiceQuotaOutput{Quota: &out}, nil
}

func (s *Service) listDefaults(ctx context.Context, in *sq.ListAWSDefaultServiceQuotasInput) (*sq.ListAWSDefaultServiceQuotasOutput, error) {
	region := wire.Region(ctx)
	all, err := s.quotas(region, *in.ServiceCode)
	if err != nil {
		return nil, err
	}
	out := &sq.ListAWSDefaultServiceQuotasOutput{}
	for _, q := range all {
		out.Quotas = append(out.Quotas, output(region, q, q.Default))
	}
	return out, nil
}
