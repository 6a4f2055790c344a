// Package server puts the local cloud together: the services behind one
// address, the file that tells a shell how to reach them, the admin endpoint,
// and the shutdown.
//
// Files: server (this one) starts and stops; services is the table of what the
// account offers; admin is what tests and benchmarks ask; env is the file.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"aicluster/e2e/localcloud/charts"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/faults"
	"aicluster/e2e/localcloud/later"
	"aicluster/e2e/localcloud/proxy"
	"aicluster/e2e/localcloud/wire"
)

// Region is where the local cloud tells its clients to be.
const Region = "ap-northeast-2"

// stopTime is how long an orderly shutdown may take; what is left then is
// ended by force.
const stopTime = 2500 * time.Millisecond

// Options configures a [Cloud].
type Options struct {
	// Dir is the folder of all data and of the env file.
	Dir string
	// Speed divides AWS's typical durations; see [clock.Profile].
	Speed float64
	// Durations replace some of the profile's.
	Durations map[clock.Step]time.Duration
	// Addr is where to listen; empty means a free port of 127.0.0.1.
	Addr string
	// Faults go wrong from the start.
	Faults []faults.Fault
	// Record is the file that every call is added to; empty means none.
	Record string
	// Kubeconfig is of a Kubernetes that runs already, for [kube.Options].
	Kubeconfig string
	// WithoutAutoscaler leaves the cluster autoscaler to the real program.
	WithoutAutoscaler bool
	// Executable is started for the hidden commands; empty means this program.
	Executable string
	// Log takes what the operator should know; nil means nothing.
	Log *slog.Logger
}

// Cloud is a running local cloud.
type Cloud struct {
	opts     Options
	clock    *clock.Clock
	url      string
	key      wire.Key // the account's
	internal wire.Key // the local cloud's own, for what EKS calls itself
	calls    *callLog
	recorder *recorder
	usage    usage
	faults   *faults.List
	later    later.Queue // what faults do after a while
	pods     *workloads
	wire     *wire.Server
	services *services
	http     *http.Server
	proxy    *proxy.Server
	served   chan error
}

// Start starts a local cloud and returns when it answers and its env file is
// written. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Cloud, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("local cloud: %w", err)
	}
	c := &Cloud{
		opts: o, clock: clock.New(o.Speed).With(o.Durations), key: newKey("user/admin"), internal: newKey("assumed-role/AWSServiceRoleForAmazonEKS/EKS"), calls: newCallLog(),
		pods: &workloads{keys: map[string]wire.Key{}, ids: map[string]bool{}}, served: make(chan error, 1),
	}
	c.faults = faults.New(c.clock, c.adjust)
	if err := c.start(ctx); err != nil {
		return nil, fmt.Errorf("local cloud: %w", err)
	}
	return c, nil
}

func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	if o.Kubeconfig != "" {
		if o.Kubeconfig, err = filepath.Abs(o.Kubeconfig); err != nil {
			return o, err
		}
	}
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return o, err
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Addr = cmp.Or(o.Addr, "127.0.0.1:0")
	return o, nil
}

// newKey makes an access key. It is new with every start, so that a client of
// an earlier local cloud, or of AWS, is refused.
func newKey(who string) wire.Key {
	service := "iam"
	if strings.HasPrefix(who, "assumed-role/") {
		service = "sts"
	}
	return wire.Key{
		ID:     "AKIA" + rand.Text()[:16],
		Secret: (rand.Text() + rand.Text())[:40],
		Caller: wire.Caller{AccountID: wire.AccountID, ARN: "arn:aws:" + service + "::" + wire.AccountID + ":" + who, UserID: "AIDA" + rand.Text()[:17]},
	}
}

// own tells whether a call is the local cloud's own, or that of a pod that it plays.
func (c *Cloud) own(call wire.Call) bool {
	return call.Caller.AccessKeyID == c.internal.ID || c.pods.has(call.Caller.AccessKeyID)
}

// count notes a call of a client.
func (c *Cloud) count(call wire.Call) {
	c.recorder.add(call, c.own(call))
	if !c.own(call) {
		c.calls.add(call)
	}
}

func (c *Cloud) start(ctx context.Context) error {
	if err := os.MkdirAll(c.opts.Dir, 0o700); err != nil {
		return err
	}
	if err := c.clean(); err != nil {
		return err
	}
	if err := charts.Write(c.path("charts")); err != nil {
		return fmt.Errorf("charts: %w", err)
	}
	var err error
	if c.recorder, err = newRecorder(c.opts.Record); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.opts.Addr)
	if err != nil {
		return err
	}
	c.url = "http://" + listener.Addr().String()
	c.wire, err = wire.NewServer(wire.Options{
		Keys: []wire.Key{c.key, c.internal}, Guard: c.guard, Answer: c.answer, Log: c.opts.Log,
		Observe: func(call wire.Call, _ error) { c.count(call) },
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if c.services, err = newServices(c); err != nil {
		return errors.Join(err, listener.Close())
	}
	if c.proxy, err = c.startProxy(); err != nil {
		return errors.Join(err, listener.Close())
	}
	c.faults.Add(c.opts.Faults...)
	c.http = &http.Server{Handler: c.handler(), ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(c.opts.Log.Handler(), slog.LevelWarn)}
	go func() { c.served <- c.http.Serve(listener) }()
	if err := c.writeEnv(); err != nil {
		return errors.Join(err, c.Stop(ctx))
	}
	c.opts.Log.Info("serving", "url", c.url, "speed", c.clock.Speed(), "env", c.path("env"))
	return nil
}

func (c *Cloud) path(name string) string { return filepath.Join(c.opts.Dir, name) }

// clean removes what an earlier run has left in the folder, the env file first:
// nobody shall reach for a cloud that is gone.
func (c *Cloud) clean() error {
	for _, name := range []string{"env", "s3", "clusters", "charts"} {
		if err := os.RemoveAll(c.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// URL is the endpoint of all services.
func (c *Cloud) URL() string { return c.url }

// Wait returns when the cloud no longer serves, with the reason, or when ctx
// ends, with nil.
func (c *Cloud) Wait(ctx context.Context) error {
	select {
	case err := <-c.served:
		return fmt.Errorf("local cloud: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// Stop ends everything that was started and removes its data, within about
// three seconds.
func (c *Cloud) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	c.later.Close()
	c.proxy.Close()
	err := os.Remove(c.path("env"))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	errs := []error{err}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, stop := range []func(context.Context) error{c.services.close, c.closeHTTP} {
		wait.Go(func() {
			err := stop(ctx)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wait.Wait()
	return errors.Join(append(errs, c.recorder.close(), c.clean())...)
}

// closeHTTP lets replies that are on their way out finish. Requests that wait
// for something, as a log that is followed, are cut.
func (c *Cloud) closeHTTP(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime/5)
	defer cancel()
	if err := c.http.Shutdown(ctx); err == nil {
		return nil
	}
	return c.http.Close()
}

// handler routes by what a request was signed for: S3 has its own server, all
// else is the wire layer's.
func (c *Cloud) handler() http.Handler {
	admin := c.adminHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, adminPath) {
			admin.ServeHTTP(w, r)
			return
		}
		if sig, ok := wire.ParseSignature(r); ok && sig.Service == "s3" {
			c.services.s3.ServeHTTP(w, r)
			return
		}
		c.wire.ServeHTTP(w, r)
	})
}
