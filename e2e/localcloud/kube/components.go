package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/server/egressselector"
	"k8s.io/client-go/tools/cache"
	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controlleroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"k8s.io/kubernetes/pkg/controller/job"
)

// The upstream commands each install the process's signal handler, which may be
// done once, so the components are started by the layer below their commands.

// apiAudience is the aud claim of EKS's service account tokens.
const apiAudience = "https://kubernetes.default.svc"

const (
	etcdSocket = "unix://etcd.sock"
	etcdPeer   = "unix://etcd-peer.sock"
	etcdStart  = 20 * time.Second
)

// startEtcd starts an etcd for this process alone, on unix sockets and without
// fsync: its data need not outlive the process.
func startEtcd(ctx context.Context) error {
	c := embed.NewConfig()
	c.Dir = "etcd"
	c.LogLevel = "fatal"
	c.UnsafeNoFsync = true
	c.TickMs, c.ElectionMs = 10, 100
	client, peer := mustURL(etcdSocket), mustURL(etcdPeer)
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)

	etcd, err := embed.StartEtcd(c)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	timeout := time.NewTimer(etcdStart)
	defer timeout.Stop()
	select {
	case <-etcd.Server.ReadyNotify():
		return nil
	case err := <-etcd.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-timeout.C:
		return errors.New("etcd: not ready in time")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func mustURL(s string) url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return *u
}

// runAPIServer serves on listener until ctx ends. It reaches kubelets by dialKubelet,
// whatever their address, and the cluster's pods and Services (aggregated APIs,
// webhooks, the proxy subresources) by the cluster's network.
func runAPIServer(ctx context.Context, s settings, listener net.Listener, dialKubelet utilnet.DialFunc) error {
	o := apiserveroptions.NewServerRunOptions()
	args := []string{
		"--etcd-servers=" + etcdSocket,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + fileServing + ".crt",
		"--tls-private-key-file=" + fileServing + ".key",
		"--client-ca-file=" + fileCA,
		"--kubelet-client-certificate=" + fileKubeletClient + ".crt",
		"--kubelet-client-key=" + fileKubeletClient + ".key",
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=" + s.issuer,
		"--api-audiences=" + apiAudience, // else it would be the issuer
		"--service-account-signing-key-file=" + fileServiceAccount,
		"--service-account-key-file=" + fileServiceAccount,
		"--service-cluster-ip-range=" + s.serviceCIDR.String(),
		"--allow-privileged=true",
		"--profiling=false",
		"--enable-priority-and-fairness=false",
		"--emulated-version=" + s.release.Emulated,
	}
	if s.authURL != "" {
		args = append(args,
			"--authentication-token-webhook-config-file="+fileWebhookConfig,
			"--authentication-token-webhook-version=v1",
			// Access entries must take effect when the local cloud says so.
			"--authentication-token-webhook-cache-ttl=1s")
	}
	if err := parseFlags(o.Flags(), args); err != nil {
		return err
	}
	o.SecureServing.Listener = listener
	o.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	o.KubeletConfig.Lookup = func(egressselector.NetworkContext) (utilnet.DialFunc, error) { return dialKubelet, nil }

	// Sets the feature gates of every component in this process.
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return runServerChain(ctx, s, completed)
}

// runServerChain does what apiserver.Run does, and lets the servers dial into the
// cluster's network in between: no option does that without a proxy of its own.
func runServerChain(ctx context.Context, s settings, o apiserveroptions.CompletedOptions) error {
	name, err := cache.NewInformerName("kube-apiserver")
	if err != nil {
		return err
	}
	o.InformerName = name
	config, err := apiserver.NewConfig(o)
	if err != nil {
		return err
	}
	to := config.KubeAPIs.ControlPlane.Extra.ProxyTransport // all of them share it
	to.DialContext, to.Proxy = s.dialCluster, nil
	completed, err := config.Complete()
	if err != nil {
		return err
	}
	chain, err := apiserver.CreateServerChain(completed)
	if err != nil {
		return err
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		return err
	}
	return prepared.Run(ctx)
}

// kube-controller-manager's own pauses: how often it looks at nodes, how often its
// autoscaler decides, and for how long it gathers the ends of a Job's pods. No flag sets the latter.
const (
	nodeMonitorPeriod = 5 * time.Second
	autoscalerPeriod  = 15 * time.Second
	jobBatchPeriod    = time.Second
	shortestPause     = 50 * time.Millisecond
)

func runControllerManager(ctx context.Context, s settings) error {
	o, err := controlleroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	known, disabled, aliases := controllermanager.KnownControllers(), controllermanager.ControllersDisabledByDefault(), controllermanager.ControllerAliases()
	monitor := max(s.clock.Scale(nodeMonitorPeriod), 2*shortestPause)
	autoscale := max(s.clock.Scale(autoscalerPeriod), 10*shortestPause)
	job.SyncJobBatchPeriod = max(s.clock.Scale(jobBatchPeriod), shortestPause) // this process is one control plane
	err = parseFlags(o.Flags(known, disabled, aliases), []string{
		"--kubeconfig=" + fileAdminConfig,
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--root-ca-file=" + fileCA,
		"--service-account-private-key-file=" + fileServiceAccount,
		"--node-monitor-period=" + monitor.String(),
		"--horizontal-pod-autoscaler-sync-period=" + autoscale.String(),
		// No addresses are given to nodes (the VPC does that), and there is no key to sign requests with.
		"--controllers=*,-" + names.NodeIpamController + ",-" + names.CertificateSigningRequestSigningController,
	})
	if err != nil {
		return err
	}
	c, err := o.Config(ctx, known, disabled, aliases)
	if err != nil {
		return err
	}
	return controllermanager.Run(ctx, c.Complete())
}

// podMaxBackoff is kube-scheduler's default: how long a pod that did not fit
// waits, at most, before it is looked at again.
const podMaxBackoff = 10 * time.Second

// schedulerConfig is kube-scheduler's configuration file. The backoff is in
// whole seconds, at least one; no flag sets it.
const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
podMaxBackoffSeconds: %d
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: %s, qps: 200, burst: 400}
`

func runScheduler(ctx context.Context, s settings) error {
	text := fmt.Sprintf(schedulerConfig, max(1, int(s.clock.Scale(podMaxBackoff).Seconds())), fileAdminConfig)
	if err := os.WriteFile(fileSchedulerConfig, []byte(text), 0o600); err != nil {
		return err
	}
	o := scheduleroptions.NewOptions()
	if err := parseFlags(*o.Flags, []string{"--config=" + fileSchedulerConfig, "--secure-port=0"}); err != nil {
		return err
	}
	config, sched, err := scheduler.Setup(ctx, o)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, config, sched)
}

// parseFlags sets a component's options as its command line would.
func parseFlags(sets cliflag.NamedFlagSets, args []string) error {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		all.AddFlagSet(set)
	}
	return all.Parse(args)
}
