package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

// change is an update of a cluster that was accepted: what it is called, how
// long it takes and what it does in the end.
type change struct {
	kind   types.UpdateType
	params []types.UpdateParam
	takes  clock.Step
	apply  func() // s.mu is held
	then   func() // s.mu is not held; may be nil
}

// UpdateClusterConfig changes one aspect of a cluster: AWS takes one at a time.
func (s *Service) UpdateClusterConfig(ctx context.Context, in *eks.UpdateClusterConfigInput) (*eks.UpdateClusterConfigOutput, error) {
	var subnets []ec2.Subnet
	if in.ResourcesVpcConfig != nil {
		if err := s.checkSecurityGroups(wire.Region(ctx), *in.Name, in.ResourcesVpcConfig.SecurityGroupIds); err != nil {
			return nil, err
		}
		if ids := in.ResourcesVpcConfig.SubnetIds; len(ids) > 0 {
			var err error
			if subnets, err = s.checkSubnets(wire.Region(ctx), *in.Name, ids); err != nil {
				return nil, err
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.Name)
	if err != nil {
		return nil, err
	}
	asked := requestOf(in.ClientRequestToken, in)
	if u, err := c.repeated(asked, "", ""); u != nil || err != nil {
		return &eks.UpdateClusterConfigOutput{Update: u}, err
	}
	if len(subnets) > 0 && subnets[0].VPC != *c.data.ResourcesVpcConfig.VpcId {
		return nil, invalidParameter(c.key.name, "", "Subnets provided must belong to the same VPC")
	}
	changes, err := s.configChanges(c, in)
	switch {
	case err != nil:
		return nil, err
	case len(changes) == 0:
		return nil, invalidParameter(c.key.name, "", "No changes needed for the cluster config provided")
	case len(changes) > 1:
		return nil, invalidParameter(c.key.name, "", "Only one type of update can be allowed.")
	}
	u, err := s.apply(c, changes[0], asked)
	return &eks.UpdateClusterConfigOutput{Update: u}, err
}

// apply starts a change; s.mu is held.
func (s *Service) apply(c *cluster, ch change, asked request) (*types.Update, error) {
	switch c.data.Status {
	case types.ClusterStatusActive:
	case types.ClusterStatusUpdating:
		return nil, inUse(c.key.name, "", "Cannot %s because cluster currently has an update in progress", ch.kind)
	default:
		return nil, invalidRequest(c.key.name, "", "Cluster '%s' is not in ACTIVE status", c.key.name)
	}
	u := c.begin(ch.kind, asked, ch.params...)
	c.data.Status = types.ClusterStatusUpdating
	c.work.Go(func() {
		if s.clock.Wait(c.ctx, ch.takes) != nil {
			return
		}
		s.mu.Lock()
		ch.apply()
		u.Status, c.data.Status = types.UpdateStatusSuccessful, types.ClusterStatusActive
		s.mu.Unlock()
		if ch.then != nil {
			ch.then()
		}
	})
	return u.output(), nil
}

// configChanges are what a request would change; s.mu is held.
func (s *Service) configChanges(c *cluster, in *eks.UpdateClusterConfigInput) ([]change, error) {
	var list []change
	if in.Logging != nil {
		next := logging(c.data.Logging, in.Logging)
		if asJSON(next) == asJSON(c.data.Logging) {
			return nil, invalidParameter(c.key.name, "", "No changes needed for the logging config provided")
		}
		list = append(list, change{
			kind: types.UpdateTypeLoggingUpdate, takes: clock.NodegroupUpdate,
			params: []types.UpdateParam{param(types.UpdateParamTypeClusterLogging, asJSON(in.Logging))},
			apply:  func() { c.data.Logging = next }, then: func() { s.enableLogs(c) },
		})
	}
	if in.ResourcesVpcConfig != nil {
		ch, err := vpcChange(c, in.ResourcesVpcConfig)
		if err != nil {
			return nil, err
		}
		list = append(list, ch)
	}
	if in.DeletionProtection != nil {
		list = append(list, change{
			kind: types.UpdateTypeDeletionProtectionUpdate, takes: clock.NodegroupUpdate,
			params: []types.UpdateParam{param(types.UpdateParamTypeDeletionProtection, strconv.FormatBool(*in.DeletionProtection))},
			apply:  func() { c.data.DeletionProtection = in.DeletionProtection },
		})
	}
	if p := in.UpgradePolicy; p != nil {
		v, _ := findVersion(*c.data.Version)
		if p.SupportType == types.SupportTypeStandard && v.status(time.Now()) == types.VersionStatusExtendedSupport {
			// "You cannot disable extended support once it starts" (API reference; words not found)
			return nil, invalidParameter(c.key.name, "", "Extended support cannot be disabled for Kubernetes version %s, which is past its standard support", v.minor)
		}
		list = append(list, change{
			kind: types.UpdateTypeUpgradePolicyUpdate, takes: clock.NodegroupUpdate,
			params: []types.UpdateParam{param(types.UpdateParamTypeUpgradePolicy, string(p.SupportType))},
			apply:  func() { c.data.UpgradePolicy = &types.UpgradePolicyResponse{SupportType: p.SupportType} },
		})
	}
	if a := in.AccessConfig; a != nil {
		ch, err := accessChange(c, a.AuthenticationMode)
		if err != nil {
			return nil, err
		}
		list = append(list, ch)
	}
	return list, nil
}

func vpcChange(c *cluster, in *types.VpcConfigRequest) (change, error) {
	have := *c.data.ResourcesVpcConfig
	next := have
	if len(in.SubnetIds) > 0 || len(in.SecurityGroupIds) > 0 {
		if len(in.SubnetIds) > 0 {
			next.SubnetIds = in.SubnetIds
		}
		if len(in.SecurityGroupIds) > 0 {
			next.SecurityGroupIds = in.SecurityGroupIds
		}
		return change{
			kind: types.UpdateTypeVpcConfigUpdate, takes: clock.ClusterUpdate,
			params: []types.UpdateParam{param(types.UpdateParamTypeSubnets, asJSON(next.SubnetIds)), param(types.UpdateParamTypeSecurityGroups, asJSON(next.SecurityGroupIds))},
			apply:  func() { c.data.ResourcesVpcConfig = &next },
		}, nil
	}
	merged := types.VpcConfigRequest{
		EndpointPublicAccess: in.EndpointPublicAccess, EndpointPrivateAccess: in.EndpointPrivateAccess, PublicAccessCidrs: in.PublicAccessCidrs,
	}
	if merged.EndpointPublicAccess == nil {
		merged.EndpointPublicAccess = &have.EndpointPublicAccess
	}
	if merged.EndpointPrivateAccess == nil {
		merged.EndpointPrivateAccess = &have.EndpointPrivateAccess
	}
	if merged.PublicAccessCidrs == nil && *merged.EndpointPublicAccess {
		merged.PublicAccessCidrs = have.PublicAccessCidrs
	}
	if err := checkEndpoints(c.key.name, &merged); err != nil {
		return change{}, err
	}
	next.EndpointPublicAccess, next.EndpointPrivateAccess, next.PublicAccessCidrs = *merged.EndpointPublicAccess, *merged.EndpointPrivateAccess, cidrs(&merged)
	if asJSON(next) == asJSON(have) {
		return change{}, invalidParameter(c.key.name, "",
			"Cluster is already at the desired configuration with endpointPrivateAccess: %t , endpointPublicAccess: %t, and Public Endpoint Restrictions: %v",
			have.EndpointPrivateAccess, have.EndpointPublicAccess, have.PublicAccessCidrs)
	}
	return change{
		kind: types.UpdateTypeEndpointAccessUpdate, takes: clock.ClusterUpdate,
		params: []types.UpdateParam{
			param(types.UpdateParamTypeEndpointPublicAccess, strconv.FormatBool(next.EndpointPublicAccess)),
			param(types.UpdateParamTypeEndpointPrivateAccess, strconv.FormatBool(next.EndpointPrivateAccess)),
			param(types.UpdateParamTypePublicAccessCidrs, asJSON(next.PublicAccessCidrs)),
		},
		apply: func() { c.data.ResourcesVpcConfig = &next },
	}, nil
}

// accessChange moves between authentication modes, which goes one way only:
// CONFIG_MAP, API_AND_CONFIG_MAP, API.
func accessChange(c *cluster, mode types.AuthenticationMode) (change, error) {
	rank := map[types.AuthenticationMode]int{types.AuthenticationModeConfigMap: 0, types.AuthenticationModeApiAndConfigMap: 1, types.AuthenticationModeApi: 2}
	have := c.data.AccessConfig.AuthenticationMode
	if rank[mode] != rank[have]+1 {
		return change{}, invalidParameter(c.key.name, "", "Unsupported authentication mode update from %s to %s", have, mode)
	}
	return change{
		kind: types.UpdateTypeAccessConfigUpdate, takes: clock.NodegroupUpdate,
		params: []types.UpdateParam{param(types.UpdateParamTypeAuthenticationMode, string(mode))},
		apply:  func() { c.data.AccessConfig.AuthenticationMode = mode },
	}, nil
}

// UpdateClusterVersion moves a cluster to the next minor version. The API
// server goes on reporting the version it was started with.
func (s *Service) UpdateClusterVersion(ctx context.Context, in *eks.UpdateClusterVersionInput) (*eks.UpdateClusterVersionOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.Name)
	if err != nil {
		return nil, err
	}
	asked := requestOf(in.ClientRequestToken, in)
	if u, err := c.repeated(asked, "", ""); u != nil || err != nil {
		return &eks.UpdateClusterVersionOutput{Update: u}, err
	}
	have, want := *c.data.Version, deref(in.Version)
	v, ok := findVersion(want)
	switch {
	case !ok || v.status(time.Now()) == types.VersionStatusUnsupported:
		return nil, invalidParameter(c.key.name, "", "unsupported Kubernetes version %s", want)
	case number(want) != number(have)+1:
		return nil, invalidParameter(c.key.name, "", "Unsupported Kubernetes minor version update from %s to %s", have, want)
	case c.data.Status == types.ClusterStatusUpdating:
		return nil, inUse(c.key.name, "", "Cannot VersionUpdate because cluster currently has an update in progress")
	}
	for name, ng := range c.nodegroups {
		if number(*ng.data.Version) < number(have) {
			return nil, invalidRequest(c.key.name, name, "Nodegroups %s must be updated to match cluster version %s before updating cluster version", name, have)
		}
	}
	u, err := s.apply(c, change{
		kind: types.UpdateTypeVersionUpdate, takes: clock.ClusterUpdate,
		params: []types.UpdateParam{param(types.UpdateParamTypeVersion, want), param(types.UpdateParamTypePlatformVersion, v.platform)},
		apply:  func() { c.data.Version, c.data.PlatformVersion = aws.String(want), aws.String(v.platform) },
	}, asked)
	return &eks.UpdateClusterVersionOutput{Update: u}, err
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
