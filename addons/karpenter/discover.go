package karpenter

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"aicluster/addons"
	"aicluster/provision/cloud"
)

// Discover lists the NodePools of a cluster, sorted: ours, or all. It returns none
// while the cluster takes no calls, or has no such kind.
func Discover(ctx context.Context, cluster addons.Cluster, all bool) ([]string, error) {
	config, err := addons.DiscoveryConfig(cluster)
	if config == nil || err != nil {
		return nil, err
	}
	kube, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, cloud.Wrap("cluster/"+cluster.Name(), "connecting to it", err)
	}
	return discover(ctx, kube, cluster.Name(), all)
}

func discover(ctx context.Context, kube dynamic.Interface, cluster string, all bool) ([]string, error) {
	selector := ""
	if !all {
		selector = metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: addons.OwnerLabels(cluster)})
	}
	list, err := kube.Resource(nodePools).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, cloud.Wrap("cluster/"+cluster, "listing its NodePools", err)
	}
	var names []string
	for _, o := range list.Items {
		names = append(names, o.GetName())
	}
	slices.Sort(names)
	return names, nil
}
