// Package ssm plays the part of AWS Systems Manager Parameter Store that tells
// the ids of images: the public parameters of the EKS-optimized AMIs.
package ssm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

// Service is Parameter Store; its parameters are AWS's, the account has none.
type Service struct{ ec2 *ec2.Service }

// New returns the parameters for the images that e knows.
func New(e *ec2.Service) *Service { return &Service{ec2: e} }

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("ssm", "ssm", goFiles)
	wire.Handle(w, "ssm", s.getParameter)
	wire.Handle(w, "ssm", s.getParameters)
	wire.Handle(w, "ssm", s.getParametersByPath)
}

// Inventory is empty: public parameters are not the account's.
func (s *Service) Inventory() []string { return nil }

// lines are the lines of parameters by AMI type: the path, with the Kubernetes
// version for %s (EKS User Guide, "Get the latest version of the EKS-optimized
// Amazon Linux AMI", "… Bottlerocket AMI").
func lines() map[string]string {
	const al2023 = "/aws/service/eks/optimized-ami/%s/amazon-linux-2023/"
	return map[string]string{
		"AL2023_x86_64_STANDARD":     al2023 + "x86_64/standard",
		"AL2023_x86_64_NVIDIA":       al2023 + "x86_64/nvidia",
		"AL2023_x86_64_NEURON":       al2023 + "x86_64/neuron",
		"AL2023_ARM_64_STANDARD":     al2023 + "arm64/standard",
		"AL2023_ARM_64_NVIDIA":       al2023 + "arm64/nvidia",
		"BOTTLEROCKET_x86_64":        "/aws/service/bottlerocket/aws-k8s-%s/x86_64",
		"BOTTLEROCKET_x86_64_NVIDIA": "/aws/service/bottlerocket/aws-k8s-%s-nvidia/x86_64",
		"BOTTLEROCKET_ARM_64":        "/aws/service/bottlerocket/aws-k8s-%s/arm64",
	}
}

// values are all parameters of a region by name.
func (s *Service) values(region string) map[string]string {
	all := map[string]string{}
	for amiType, format := range lines() {
		for version, releases := range ec2.EKSReleases() {
			base := fmt.Sprintf(format, version)
			id, release, _ := s.ec2.EKSImage(region, amiType, version, "")
			if strings.HasPrefix(base, "/aws/service/bottlerocket/") {
				all[base+"/latest/image_id"], all[base+"/latest/image_version"] = id, "1.62.0"
				continue
			}
			whole, _ := json.Marshal(map[string]string{"schema_version": "1", "image_id": id, "release_version": release}) // of strings: cannot fail
			all[base+"/recommended"] = string(whole)
			all[base+"/recommended/image_id"], all[base+"/recommended/release_version"] = id, release
			for _, r := range releases { // each release by the name of its image
				id, release, _ := s.ec2.EKSImage(region, amiType, version, r.Version())
				name := base + "/" + s.ec2.ImageName(region, id)
				all[name+"/image_id"], all[name+"/release_version"] = id, release
			}
		}
	}
	return all
}

func parameter(region, name, value string) types.Parameter {
	return types.Parameter{
		Name: aws.String(name), Value: aws.String(value), Type: types.ParameterTypeString, Version: 1, DataType: aws.String("text"),
		ARN: aws.String("arn:aws:ssm:" + region + "::parameter" + name), LastModifiedDate: aws.Time(time.Date(2026, 8, 18, 0, 0, 0, 0, time.UTC)),
	}
}

func (s *Service) getParameter(ctx context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	region := wire.Region(ctx)
	v, ok := s.values(region)[*in.Name]
	if !ok {
		return nil, &types.ParameterNotFound{Message: aws.String("")} // SSM says no more
	}
	p := parameter(region, *in.Name, v)
	return &ssm.GetParameterOutput{Parameter: &p}, nil
}

func (s *Service) getParameters(ctx context.Context, in *ssm.GetParametersInput) (*ssm.GetParametersOutput, error) {
	region := wire.Region(ctx)
	values := s.values(region)
	out := &ssm.GetParametersOutput{Parameters: []types.Parameter{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		if v, ok := values[name]; ok {
			out.Parameters = append(out.Parameters, parameter(region, name, v))
		} else {
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, nil
}

func (s *Service) getParametersByPath(ctx context.Context, in *ssm.GetParametersByPathInput) (*ssm.GetParametersByPathOutput, error) {
	if !strings.HasPrefix(*in.Path, "/") { // the words are moto's, which has them from AWS
		return nil, &wire.Error{Code: "ValidationException", Message: `The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "/". ` +
			`It can't be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). ` +
			`Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.`}
	}
	region := wire.Region(ctx)
	out := &ssm.GetParametersByPathOutput{Parameters: []types.Parameter{}}
	path := strings.TrimSuffix(*in.Path, "/") + "/"
	for name, v := range s.values(region) {
		if rest, ok := strings.CutPrefix(name, path); ok && (aws.ToBool(in.Recursive) || !strings.Contains(rest, "/")) {
			out.Parameters = append(out.Parameters, parameter(region, name, v))
		}
	}
	slices.SortFunc(out.Parameters, func(a, b types.Parameter) int { return strings.Compare(*a.Name, *b.Name) })
	return out, nil
}
