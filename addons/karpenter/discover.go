package karpenter

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"aicluster/addons"
	"aicluster/provision/cloud"
)

// discoverLimit bounds the look for NodePools, which also commands make that need
// nothing from the cluster.
const discoverLimit = 10 * time.Second

// Discover lists the NodePools of a cluster, sorted: ours, or all. It returns none
// while the cluster takes no calls, or has no such kind.
func Discover(ctx context.Context, cluster addons.Cluster, all bool) ([]string, error) {
	if !cluster.Ready() {
		return nil, nil
	}
	config, err := cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.Timeout, config.WarningHandler = discoverLimit, rest.NoWarnings{}
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
