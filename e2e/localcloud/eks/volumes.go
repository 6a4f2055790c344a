package eks

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/e2e/localcloud/controllers"
)

// The EBS CSI driver's controller, and the service account of its pods.
const (
	ebsAddon      = "aws-ebs-csi-driver"
	ebsController = "ebs-csi-controller"
	ebsAccount    = ebsController + "-sa"
)

// errNoCredentials is what the SDK in a pod says that has no role at all.
var errNoCredentials = errors.New("get credentials: no EC2 IMDS role found")

// volumeAPI is EC2 as the pods of the EBS CSI driver's controller may call it now.
func (s *Service) volumeAPI(ctx context.Context, c *cluster) (controllers.VolumeAPI, error) {
	role, err := s.volumeRole(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, ok := s.opts.IAM.Role(role); !ok {
		return nil, errNoCredentials
	}
	session := fmt.Sprintf("eks-%.20s-%.10s-%s", c.key.name, ebsController, uuid.NewSHA1(uuid.Nil, []byte(c.key.region+c.key.name)))
	cfg, err := s.opts.RoleConfig(c.key.region, role, session)
	if err != nil {
		return nil, err
	}
	return ec2.NewFromConfig(cfg), nil
}

// volumeRole is the role of those pods: the one that the add-on names for its
// service account, else that of the pod identity association if the agent is
// there to hand it out, else that of a node on which one runs
// (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).
func (s *Service) volumeRole(ctx context.Context, c *cluster) (string, error) {
	s.mu.Lock()
	plane := c.plane
	if a := c.addons[ebsAddon]; a != nil && a.data.ServiceAccountRoleArn != nil {
		defer s.mu.Unlock()
		return *a.data.ServiceAccountRoleArn, nil
	}
	if c.addons["eks-pod-identity-agent"] != nil {
		for _, a := range c.associations {
			if *a.Namespace == "kube-system" && *a.ServiceAccount == ebsAccount {
				defer s.mu.Unlock()
				return *a.RoleArn, nil
			}
		}
	}
	s.mu.Unlock()
	if plane == nil {
		return "", errNoCredentials
	}
	pods, err := plane.Client().CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{LabelSelector: "app=" + ebsController})
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pod := range pods.Items {
		for instance, node := range c.nodes {
			if node != pod.Spec.NodeName {
				continue
			}
			for _, n := range c.nodegroups {
				if n.joined[instance] {
					return *n.data.NodeRole, nil
				}
			}
		}
	}
	return "", errNoCredentials
}
