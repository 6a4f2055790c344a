package main

import (
	"context"

	"aicluster/addons"
	"aicluster/provision/engine"
	"aicluster/provision/identity"
)

// addMonitoring: metrics and what scales by them, and the logs of containers.
func (s *builder) addMonitoring(context.Context) error {
	if s.blueprint.Addons.KubePrometheusStack != nil {
		stack := s.addRelease(addons.KubePrometheusStack(s.blueprint))
		s.addRelease(addons.PrometheusAdapter(), stack)
	}
	s.addContainerLogs()
	return nil
}

// addContainerLogs: the group that the logs of containers go to, and Fluent Bit,
// which sends them. A group of an earlier time is looked for as well.
func (s *builder) addContainerLogs() {
	b := s.blueprint
	group := addons.NewLogGroup(s.clients.Logs, s.owner, b)
	s.add(group)
	if b.Addons.ContainerLogs == nil {
		return
	}
	role := identity.NewRole(s.clients.IAM, s.owner, identity.ContainerLogsRole(b))
	pod := addons.NewPodIdentity(s.clients.EKS, s.owner, s.cluster, addons.LogsNamespace, addons.LogsServiceAccount, role, s.cluster, role)
	s.add(role, pod)
	needs := []engine.Resource{group, pod}
	if s.podID != nil {
		needs = append(needs, s.podID)
	}
	s.addRelease(addons.ContainerLogs(b), needs...)
}

// removedContainerLogs: the role of Fluent Bit when the blueprint asks for no logs
// of containers. Its log group stays, see [addons.LogGroup].
func (s *builder) removedContainerLogs() *addons.PodIdentity {
	if s.blueprint.Addons.ContainerLogs != nil {
		return nil
	}
	pod := addons.NewRemovedPodIdentity(s.clients.EKS, s.owner, s.cluster, addons.LogsNamespace, addons.LogsServiceAccount)
	role := identity.NewRemovedRole(s.clients.IAM, s.owner, identity.ContainerLogsRole(s.blueprint))
	s.goBefore(pod, role)
	s.add(pod, role)
	return pod
}
