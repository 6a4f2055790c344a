package kube

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/traffic"
)

// settings are the hidden command's flags.
type settings struct {
	dir, name, authURL, issuer string
	kubeconfig, networkURL     string
	release                    Release
	serviceCIDR                netip.Prefix
	clock                      *clock.Clock
}

func parseSettings(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet(Command, flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", "", "folder of the control plane")
	flags.StringVar(&s.name, "name", "", "name of the cluster")
	flags.StringVar(&s.authURL, "auth-url", "", "token webhook")
	flags.StringVar(&s.networkURL, "network-url", "", "way into the cluster's network")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "of a Kubernetes that runs already")
	flags.StringVar(&s.issuer, "issuer", defaultIssuer, "issuer of service account tokens")
	version := flags.String("version", "", "Kubernetes minor version")
	cidr := flags.String("service-cidr", defaultServiceCIDR, "addresses of services")
	speed := flags.Float64("speed", 1, "divisor of durations")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	var err error
	if s.release, err = release(*version); err != nil {
		return s, err
	}
	s.clock = clock.New(*speed)
	s.serviceCIDR, err = netip.ParsePrefix(*cidr)
	return s, err
}

// RunChild is the body of the hidden command "controlplane": it runs a control
// plane until ctx ends, a signal to end comes, or the standard input ends, which
// it does when the parent process is gone. When the API server is ready it
// writes one line of JSON to the standard output.
//
// It returns without waiting for the components: whatever they have not yet
// written is thrown away with the folder.
func RunChild(ctx context.Context, args []string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, orphaned := context.WithCancel(ctx)
	defer orphaned()
	go func() {
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // any end is the end
		orphaned()
	}()

	err := runControlPlane(ctx, args, os.Stdout)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		err = errors.Join(err, json.NewEncoder(os.Stdout).Encode(report{Error: err.Error()}))
	}
	return err
}

// runControlPlane starts the components in their order, reports, and returns
// with the first error of any or when ctx ends.
func runControlPlane(ctx context.Context, args []string, out io.Writer) error {
	s, err := parseSettings(args)
	if err != nil {
		return err
	}
	ctx = klog.NewContext(ctx, klog.Background())
	if s.kubeconfig != "" {
		return runBeside(ctx, s, out)
	}
	// Relative paths from here on: a socket's path may have 107 bytes only.
	if err := os.Chdir(s.dir); err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	admin, err := prepareFiles(s, listener.Addr().(*net.TCPAddr).Port)
	if err != nil {
		return err
	}
	if err := reportAs(s.release); err != nil {
		return err
	}
	if err := startEtcd(ctx); err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	run := func(name string, f func(context.Context) error) {
		group.Go(func() error {
			err := f(ctx)
			if err == nil && ctx.Err() == nil {
				err = errors.New("ended by itself")
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			return err
		})
	}
	kubelets, err := newKubelets(admin, s)
	if err != nil {
		return err
	}
	if kubelets.api, err = newKubeletAPI(kubelets.pods.GetStore(), kubelets.nodes.GetStore(), s.dialCluster); err != nil {
		return err
	}
	kubelets.api.load = s.clock.Duration(clock.ModelLoad)
	run("kube-apiserver", func(ctx context.Context) error { return runAPIServer(ctx, s, listener, kubelets.dial) })
	run("ready", func(ctx context.Context) error {
		if err := waitReady(ctx, admin); err != nil {
			return err
		}
		run("kube-controller-manager", func(ctx context.Context) error { return runControllerManager(ctx, s) })
		run("kube-scheduler", func(ctx context.Context) error { return runScheduler(ctx, s) })
		run("kubelets", kubelets.run)
		if err := json.NewEncoder(out).Encode(report{Port: listener.Addr().(*net.TCPAddr).Port}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	<-ctx.Done()
	return context.Cause(ctx)
}

// runBeside plays the kubelets of a Kubernetes that runs already.
func runBeside(ctx context.Context, s settings, out io.Writer) error {
	admin, err := readKubeconfig(s.kubeconfig)
	if err != nil {
		return err
	}
	kubelets, err := newKubelets(admin, s)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, admin); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(report{}); err != nil {
		return err
	}
	return kubelets.run(ctx)
}

// dialCluster connects to an address inside the cluster: of a pod or a Service.
func (s settings) dialCluster(ctx context.Context, network, address string) (net.Conn, error) {
	if s.networkURL == "" {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENETUNREACH}
	}
	return traffic.Tunnel(ctx, s.networkURL, address)
}

// prepareFiles writes what the components read from the current folder.
func prepareFiles(s settings, port int) (*rest.Config, error) {
	if err := writePKI(".", net.IP(s.serviceCIDR.Masked().Addr().Next().AsSlice())); err != nil {
		return nil, err
	}
	if s.authURL != "" {
		if err := writeWebhookConfig(".", s.authURL); err != nil {
			return nil, err
		}
	}
	admin, err := adminConfig(".", port)
	if err != nil {
		return nil, err
	}
	return admin, writeAdminConfig(".", admin)
}

// waitReady returns when the API server's /readyz answers with success.
func waitReady(ctx context.Context, admin *rest.Config) error {
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver is not ready: %w", err)
		case <-tick.C:
		}
	}
}
