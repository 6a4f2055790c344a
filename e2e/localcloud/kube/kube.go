// Package kube runs the Kubernetes control plane that stands behind an EKS
// cluster of the local cloud: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler as Kubernetes ships them, and nodes whose kubelets are played
// (by KWOK and by what this package adds to it).
//
// Feature gates and metric registries are global in a process, so every control
// plane is a child process of its own: the same executable, called with the
// hidden command "controlplane" ([RunChild]). The child never outlives its
// parent.
//
// [Start] makes one, [ControlPlane.AddNode] and [ControlPlane.RemoveNode] are
// what a kubelet's registration and an instance's end do to it.
package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/e2e/localcloud/clock"
)

// Command is the hidden command by which the executable becomes a control plane.
const Command = "controlplane"

// What EKS gives a cluster that does not say otherwise.
const (
	defaultIssuer      = apiAudience
	defaultServiceCIDR = "172.20.0.0/16" // for a VPC in 10.0.0.0/8
)

// Options say what control plane to start.
type Options struct {
	// Dir is the folder of this control plane alone. Start makes it anew, whatever
	// a run that crashed has left there, and Stop removes it.
	Dir string
	// Cluster is the name of the EKS cluster.
	Cluster string
	// Version is the minor version as EKS names it, such as "1.35".
	Version string
	// AuthURL is where the API server posts a TokenReview for a bearer token
	// that is not a service account's; see [TokenReview]. Empty: no such tokens.
	AuthURL string
	// NetworkURL is where the cluster's network lets the API server and the kubelets
	// in; see [traffic.Tunnel]. Empty: they reach no pod and no Service.
	NetworkURL string
	// Executable is called with [Command]; empty means this process's own.
	Executable string
	// Kubeconfig is the administrator's of a Kubernetes that runs already, such as
	// a kind cluster, and takes the place of a control plane of our own: only the
	// kubelets are played. It keeps what is put there when Stop is called.
	Kubeconfig string

	// Clock gives the pods' start time and the speed; nil means speed 1.
	Clock *clock.Clock
	// Issuer is the iss claim of service account tokens, which in EKS is the
	// cluster's OIDC issuer URL. Empty: https://kubernetes.default.svc.
	Issuer string
	// ServiceCIDR is the cluster's serviceIpv4Cidr. Empty: 172.20.0.0/16.
	ServiceCIDR string
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("no folder is given") // and the current one would be removed
	}
	if o.Clock == nil {
		o.Clock = clock.New(1)
	}
	if o.Issuer == "" {
		o.Issuer = defaultIssuer
	}
	if o.ServiceCIDR == "" {
		o.ServiceCIDR = defaultServiceCIDR
	}
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return o, err
		}
		o.Executable = exe
	}
	if _, err := release(o.Version); err != nil {
		return o, err
	}
	var err error
	o.Dir, err = filepath.Abs(o.Dir)
	return o, err
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	opts   Options
	config *rest.Config
	client kubernetes.Interface
	child  *child

	mu    sync.Mutex
	nodes map[string]Node
}

// Start starts a control plane and returns when its API server is ready. ctx
// bounds the start only; [ControlPlane.Stop] ends what was started.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("control plane of %s: %w", o.Cluster, err)
	}
	if err := errors.Join(os.RemoveAll(o.Dir), os.MkdirAll(o.Dir, 0o700)); err != nil {
		return nil, err
	}
	ch, config, err := startChild(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("control plane of %s: %w", o.Cluster, errors.Join(err, os.RemoveAll(o.Dir)))
	}
	c := &ControlPlane{opts: o, config: config, child: ch, nodes: map[string]Node{}}
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, errors.Join(err, c.Stop(ctx))
	}
	return c, nil
}

// Endpoint is the API server's URL.
func (c *ControlPlane) Endpoint() string { return c.config.Host }

// CA is the certificate authority of the API server, in PEM.
func (c *ControlPlane) CA() []byte { return c.config.CAData }

// Admin is a client configuration with the local cloud's own certificate, a
// member of system:masters. Users authenticate by token, as in EKS.
func (c *ControlPlane) Admin() *rest.Config { return rest.CopyConfig(c.config) }

// Client is a client with the rights of [ControlPlane.Admin].
func (c *ControlPlane) Client() kubernetes.Interface { return c.client }

// Done is closed when the control plane's process has ended, for whatever reason.
func (c *ControlPlane) Done() <-chan struct{} { return c.child.done }

// Stop ends the control plane and removes its folder. The child is asked first
// and killed when ctx ends or it takes too long. Stop may be called twice.
func (c *ControlPlane) Stop(ctx context.Context) error {
	return errors.Join(c.child.stop(ctx), os.RemoveAll(c.opts.Dir))
}
