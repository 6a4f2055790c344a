package karpenter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// EC2API is what this package uses of EC2.
type EC2API interface {
	ec2.DescribeInstancesAPIClient
	ec2.DescribeLaunchTemplatesAPIClient
	TerminateInstances(context.Context, *ec2.TerminateInstancesInput, ...func(*ec2.Options)) (*ec2.TerminateInstancesOutput, error)
	DeleteLaunchTemplate(context.Context, *ec2.DeleteLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.DeleteLaunchTemplateOutput, error)
}

// The tags of all that Karpenter makes (its documentation, "NodeClasses",
// spec.tags).
const (
	tagOwned   = "kubernetes.io/cluster/" // and the cluster's name; its value is "owned"
	tagPool    = "karpenter.sh/nodepool"
	tagCluster = "eks:eks-cluster-name"
	tagClass   = "karpenter.k8s.aws/ec2nodeclass"
)

// Machines are the instances that Karpenter started and its launch templates. As
// long as Karpenter runs it takes them away itself; this is for those that it left,
// because it or the API server was gone first. They cost what nodes cost and are in
// nobody's node group.
type Machines struct {
	api     EC2API
	cluster string
	needs   []engine.Resource

	found machines
}

type machines struct{ instances, templates []string }

// NewMachines makes the resource "karpenter-machines/<cluster>". It only ever takes
// away.
func NewMachines(api EC2API, cluster string, needs ...engine.Resource) *Machines {
	return &Machines{api: api, cluster: cluster, needs: needs}
}

// ID implements engine.Resource.
func (m *Machines) ID() string { return "karpenter-machines/" + m.cluster }

// Needs implements engine.Resource.
func (m *Machines) Needs() []engine.Resource { return m.needs }

// Need adds to what the machines need, before a graph is made of it.
func (m *Machines) Need(more ...engine.Resource) { m.needs = append(m.needs, more...) }

// Unwanted implements engine.Unwanted.
func (m *Machines) Unwanted() bool { return true }

// Observe implements engine.Resource.
func (m *Machines) Observe(ctx context.Context) (engine.Observation, error) {
	var err error
	if m.found, err = m.look(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(m.ID(), "looking for what Karpenter started", err)
	}
	all := slices.Concat(m.found.instances, m.found.templates)
	return engine.Observation{Exists: len(all) > 0, Detail: strings.Join(all, ", ")}, nil
}

// look lists the instances that are not terminated, and the templates.
func (m *Machines) look(ctx context.Context) (machines, error) {
	instances, err := m.instances(ctx)
	if err != nil {
		return machines{}, err
	}
	templates, err := m.templates(ctx)
	return machines{instances, templates}, err
}

func (m *Machines) instances(ctx context.Context) ([]string, error) {
	var ids []string
	pages := ec2.NewDescribeInstancesPaginator(m.api, &ec2.DescribeInstancesInput{Filters: []types.Filter{
		cloud.Filter("tag:"+tagOwned+m.cluster, "owned"), cloud.Filter("tag-key", tagPool),
		cloud.Filter("instance-state-name", "pending", "running", "shutting-down", "stopping", "stopped"),
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				ids = append(ids, aws.ToString(i.InstanceId))
			}
		}
	}
	return ids, nil
}

func (m *Machines) templates(ctx context.Context) ([]string, error) {
	var ids []string
	pages := ec2.NewDescribeLaunchTemplatesPaginator(m.api, &ec2.DescribeLaunchTemplatesInput{Filters: []types.Filter{
		cloud.Filter("tag:"+tagCluster, m.cluster), cloud.Filter("tag-key", tagClass),
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range page.LaunchTemplates {
			ids = append(ids, aws.ToString(t.LaunchTemplateId))
		}
	}
	return ids, nil
}

// Apply implements engine.Resource; there is nothing to make.
func (m *Machines) Apply(context.Context, engine.Progress) error { return nil }

// Delete implements engine.Resource. It returns when no instance is left: until
// then they hold security groups and subnets.
func (m *Machines) Delete(ctx context.Context, p engine.Progress) error {
	asked := map[string]bool{}
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		ids, err := m.instances(ctx)
		if err != nil || len(ids) == 0 {
			return true, err
		}
		if news := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return asked[id] }); len(news) > 0 {
			p("terminating %s that Karpenter left", nodes(len(news)))
			if err := m.terminate(ctx, news); err != nil {
				return true, err
			}
			for _, id := range news {
				asked[id] = true
			}
			return false, nil
		}
		p("%s shutting down", nodes(len(ids)))
		return false, nil
	})
	if err != nil {
		return cloud.Wrap(m.ID(), "terminating what Karpenter started", err)
	}
	templates, err := m.templates(ctx)
	if err != nil {
		return cloud.Wrap(m.ID(), "looking for Karpenter's launch templates", err)
	}
	var errs []error
	for _, id := range templates {
		_, err := m.api.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &id})
		if err != nil && !cloud.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
		}
	}
	return cloud.Wrap(m.ID(), "deleting Karpenter's launch templates", errors.Join(errs...))
}

// terminate asks for the end of instances, one by one if one of them is unknown to
// EC2 by now: it then refuses all.
func (m *Machines) terminate(ctx context.Context, ids []string) error {
	_, err := m.api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids})
	if !cloud.IsNotFound(err) || len(ids) == 1 {
		if cloud.IsNotFound(err) {
			return nil
		}
		return err
	}
	for _, id := range ids {
		if err := m.terminate(ctx, []string{id}); err != nil {
			return err
		}
	}
	return nil
}
