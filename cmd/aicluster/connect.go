package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/addons/serving"
	"aicluster/addons/serving/tunnel"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// defaultPort is the local port unless another one is asked for; a free one takes its
// place when something else listens there.
const defaultPort = 8000

// replicaPatience is how long connect waits for a replica in the place of one that is
// gone: a model is loaded meanwhile.
const replicaPatience = 10 * time.Minute

func (a *app) connectCommand() *cli.Command {
	return &cli.Command{
		Name:      "connect",
		Usage:     "a port of this machine leads to a service, through the cluster's API server, until Ctrl-C",
		ArgsUsage: "SERVICE FILE",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "port", Aliases: []string{"p"}, Value: defaultPort, Usage: "`PORT` of 127.0.0.1; 0: a free one"},
		},
		Action: func(ctx *cli.Context) error {
			if ctx.NArg() != 2 {
				return commandLine("connect needs a service and a blueprint file: aicluster connect SERVICE FILE")
			}
			port := ctx.Int("port")
			if port < 0 || port > math.MaxUint16 {
				return commandLine("--port is a number from 0 to 65535, not %d", port)
			}
			b, err := a.load(ctx.Args().Get(1))
			if err != nil {
				return err
			}
			svc, err := serviceNamed(b, ctx.Args().Get(0))
			if err != nil {
				return err
			}
			s, err := a.open(ctx.Context, ctx.Args().Get(1), stackOptions{})
			if err != nil {
				return err
			}
			if err := s.readCluster(ctx.Context); err != nil {
				return err
			}
			return s.connect(ctx.Context, svc, uint16(port), !ctx.IsSet("port"))
		},
	}
}

// connection is a line of connect's JSON: whenever a replica is connected.
type connection struct {
	Type    string `json:"type"` // "connection"
	Service string `json:"service"`
	Pod     string `json:"pod"`
	URL     string `json:"url"`
	Model   string `json:"model"`
}

// connect forwards a port to a replica, and to another one when that is gone, until
// it is interrupted, which is its normal end.
func (s *session) connect(ctx context.Context, svc blueprints.Service, port uint16, free bool) error {
	config, err := s.stack.cluster.RESTConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		to, err := s.replica(ctx, client, svc, first)
		if err != nil {
			return ignoreInterruption(ctx, err)
		}
		t, err := openTunnel(config, client, to, port, first && free)
		if err != nil {
			if first || taken(err) {
				return cloud.Wrap("service/"+svc.Name, "connecting with pod "+to.Pod, err)
			}
			if err := cloud.Sleep(ctx, time.Second); err != nil { // the pod has just gone
				return ignoreInterruption(ctx, err)
			}
			continue
		}
		port = t.Port
		if err := s.showConnection(svc, to, port, first); err != nil {
			return errors.Join(err, t.Close())
		}
		why := s.hold(ctx, client, t, to)
		_ = t.Close() // how a connection ended that is over does not matter
		if ctx.Err() != nil {
			return nil
		}
		s.say("%s; looking for another replica", why)
	}
}

// ignoreInterruption: Ctrl-C ends a connection as it is meant to end.
func ignoreInterruption(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// replica picks one that is ready. The first time there has to be one; later one is
// waited for.
func (s *session) replica(ctx context.Context, client kubernetes.Interface, svc blueprints.Service, first bool) (to tunnel.Endpoint, err error) {
	start := time.Now()
	err = cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		ready, err := tunnel.Endpoints(ctx, client, serving.Namespace, svc.Name, serving.PortName)
		if err != nil {
			return true, cloud.Wrap("service/"+svc.Name, "looking for a replica", err)
		}
		for _, e := range ready {
			serves, err := tunnel.Serves(ctx, client, serving.Namespace, e.Pod)
			if err != nil {
				return true, cloud.Wrap("service/"+svc.Name, "looking at pod "+e.Pod, err)
			}
			if serves {
				to = e
				return true, nil
			}
		}
		if first || time.Since(start) > replicaPatience {
			return true, cloud.Fail("service/"+svc.Name, "looking for a replica", "no replica is ready",
				"aicluster doctor "+s.file+" says why its pods are not; aicluster up makes what is missing")
		}
		return false, nil
	})
	return to, err
}

// openTunnel takes the port, or a free one if it is taken and that will do.
func openTunnel(config *rest.Config, client kubernetes.Interface, to tunnel.Endpoint, port uint16, free bool) (*tunnel.Tunnel, error) {
	if free && port != 0 {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			port = 0
		} else if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return tunnel.Open(config, client, serving.Namespace, to, port, os.Stderr)
}

// taken tells that something else listens at the port.
func taken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// hold keeps a connection until it ends, its pod goes or ctx ends, and says why.
func (s *session) hold(ctx context.Context, client kubernetes.Interface, t *tunnel.Tunnel, to tunnel.Endpoint) string {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for watching.Err() == nil {
			if tunnel.WaitGone(watching, client, serving.Namespace, to.Pod) == nil {
				return
			}
			if cloud.Sleep(watching, time.Second) != nil { // a watch that ended is begun anew
				return
			}
		}
	}()
	why := "pod " + to.Pod + " is gone"
	select {
	case <-t.Done():
		why = "the connection with pod " + to.Pod + " has ended"
	case <-gone:
	case <-ctx.Done():
	}
	stop()
	<-gone
	return why
}

// showConnection says where the service is now.
func (s *session) showConnection(svc blueprints.Service, to tunnel.Endpoint, port uint16, first bool) error {
	url := fmt.Sprintf("http://127.0.0.1:%d/v1", port)
	if s.console.JSON {
		return s.console.Line(connection{"connection", svc.Name, to.Pod, url, svc.Model})
	}
	if !first {
		s.console.Say("connected with pod %s", to.Pod)
		return nil
	}
	s.console.Data("%s", url)
	s.console.Say("%s: pod %s, model %s; Ctrl-C ends it", svc.Name, to.Pod, svc.Model)
	if slices.Contains(svc.Args, "--api-key") {
		s.console.Hint("it asks for the key: -H 'Authorization: Bearer KEY'")
	}
	s.console.Hint(`curl %s/chat/completions -H 'Content-Type: application/json' -d '{"model": "%s", "messages": [{"role": "user", "content": "Hello"}]}'`, url, svc.Model)
	return nil
}
