package addons

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/provision/cloud"
)

// reachLimit is how long a new cluster may take until its endpoint's name
// resolves and its access entries count.
const reachLimit = 2 * time.Minute

// waitReachable returns once the API server answers us as an administrator.
func waitReachable(ctx context.Context, client kubernetes.Interface) error {
	return cloud.RetryWhile(ctx, reachLimit, maySoonAnswer, func(ctx context.Context) error {
		_, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 1})
		return err
	})
}

func maySoonAnswer(err error) bool {
	var transport *url.Error // no answer at all
	return apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsTooManyRequests(err) || (errors.As(err, &transport) && !errors.Is(err, context.Canceled))
}

// WaitReachable returns once the API server answers us as an administrator.
func WaitReachable(ctx context.Context, client kubernetes.Interface) error {
	return waitReachable(ctx, client)
}

// Unreachable says of an error from the cluster's API what to do about it.
func Unreachable(id, doing string, err error) error { return unreachable(id, doing, err) }

// unreachable is an error from the cluster's API, with what to do about it. A
// cluster that cannot be reached does not stop a teardown: what it holds goes
// with it.
func unreachable(id, doing string, err error) error {
	var e *cloud.Error
	if err == nil || errors.As(err, &e) { // such as credentials that have expired
		return err
	}
	wrapped := cloud.Wrap(id, doing, fmt.Errorf("the cluster's API server: %w", err))
	if hint := reachHint(err); hint != "" && errors.As(wrapped, &e) {
		e.Hint = hint // AWS's own endpoints are not to blame
	}
	return wrapped
}

func reachHint(err error) string {
	var transport *url.Error
	switch {
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return "these credentials are no administrator of the cluster: use the ones that made it, or add them to cluster.admins with the ones that made it"
	case errors.As(err, &transport):
		return "the endpoint cannot be reached from here: see cluster.endpoint (publicCIDRs, private) and the network"
	}
	return ""
}

// discoverLimit bounds a look for what is on a cluster: every command makes it, also
// one that needs nothing from there.
const discoverLimit = 10 * time.Second

// DiscoveryConfig is how a cluster is asked what of ours is on it; nil while it takes
// no calls.
func DiscoveryConfig(cluster Cluster) (*rest.Config, error) {
	if !cluster.Ready() {
		return nil, nil
	}
	config, err := cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.Timeout, config.WarningHandler = discoverLimit, rest.NoWarnings{}
	return config, nil
}
