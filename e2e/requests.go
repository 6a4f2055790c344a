package e2e

import (
	"context"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// crowd are clients that keep sending requests to a service.
type crowd struct {
	stop context.CancelFunc
	all  sync.WaitGroup
}

func (c *crowd) end() {
	if c != nil && c.stop != nil {
		c.stop()
		c.all.Wait()
		c.stop = nil
	}
}

// cmdCrowd has N clients send long requests to a service of ai-serving, one after
// the other, until the next crowd or the end: "crowd N SERVICE". The requests go by
// the API server's proxy, to any of the service's pods that are ready.
func cmdCrowd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: crowd N SERVICE")
	}
	cloud := of(ts).cloud
	cloud.crowd.end()
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{stop: cancel}
	cloud.crowd = c
	ts.Defer(c.end)
	client := kubernetesOf(ts)
	for range number(ts, args[0]) {
		c.all.Go(func() {
			for ctx.Err() == nil {
				if err := complete(ctx, client, args[1]); err != nil {
					select {
					case <-ctx.Done():
					case <-time.After(volumePoll):
					}
				}
			}
		})
	}
}

func complete(ctx context.Context, client kubernetes.Interface, service string) error {
	return client.CoreV1().RESTClient().Post().Namespace("ai-serving").Resource("services").Name(service+":http").SubResource("proxy").Suffix("v1/completions").
		SetHeader("Content-Type", "application/json").Body([]byte(`{"prompt": "Hi", "max_tokens": 2000, "ignore_eos": true}`)).Do(ctx).Error()
}

// hasty is the behaviour of an autoscaler that does not wait: no test has ten minutes.
const hasty = `{"spec": {"behavior": {
  "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]},
  "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]}}}}`

// cmdHasty takes the waits out of a service's autoscaler, as a person would who
// edits it: "hasty SERVICE".
func cmdHasty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hasty SERVICE")
	}
	_, err := kubernetesOf(ts).AutoscalingV2().HorizontalPodAutoscalers("ai-serving").Patch(context.Background(), args[0],
		types.MergePatchType, []byte(hasty), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	ts.Check(err)
}
