package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/ptr"

	"aicluster/e2e/localcloud/clock"
)

// LogsAPI is the part of CloudWatch Logs that Fluent Bit calls; the SDK's client has it.
type LogsAPI interface {
	CreateLogGroup(context.Context, *cloudwatchlogs.CreateLogGroupInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogGroupOutput, error)
	CreateLogStream(context.Context, *cloudwatchlogs.CreateLogStreamInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogStreamOutput, error)
	PutLogEvents(context.Context, *cloudwatchlogs.PutLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutLogEventsOutput, error)
}

// fluentBitRetry is how soon Fluent Bit tries again what CloudWatch refused.
const fluentBitRetry = 10 * time.Second

// fluentBit plays the pods of aws-for-fluent-bit. Each sends what the containers of
// its node have written to the log group of its configuration, as the role of its
// service account, by the plugin cloudwatch_logs
// (https://docs.fluentbit.io/manual/pipeline/outputs/cloudwatch). Containers that
// write nothing get no stream. A node without such a pod is not read.
type fluentBit struct {
	client  kubernetes.Interface
	clock   *clock.Clock
	api     func(ctx context.Context, namespace, account, node string) (LogsAPI, error)
	worker  *worker
	pods    corelisters.PodLister
	configs corelisters.ConfigMapLister

	sent map[string]bool // containers' runs whose lines were sent; of the worker's goroutine
}

func newFluentBit(o Options, client kubernetes.Interface, factory informers.SharedInformerFactory) (*fluentBit, error) {
	core := factory.Core().V1()
	f := &fluentBit{client: client, clock: o.Clock, api: o.Logs, pods: core.Pods().Lister(), configs: core.ConfigMaps().Lister(), sent: map[string]bool{}}
	f.worker = newWorker("fluent-bit", f.sync)
	return f, on(core.Pods().Informer(), func(pod *corev1.Pod) {
		if pod.Spec.NodeName != "" {
			f.worker.queue.Add(pod.Spec.NodeName)
		}
	})
}

func (f *fluentBit) run(ctx context.Context) { f.worker.run(ctx) }

// sync sends what is new on a node.
func (f *fluentBit) sync(ctx context.Context, node string) (time.Duration, error) {
	all, _ := f.pods.List(labels.Everything()) // a lister over a cache does not fail
	var here []*corev1.Pod
	var shipper *corev1.Pod
	for _, pod := range all {
		if pod.Spec.NodeName != node {
			continue
		}
		here = append(here, pod)
		if podReady(pod) && imageName(pod.Spec.Containers[0].Image) == "aws-for-fluent-bit" {
			shipper = pod
		}
	}
	if shipper == nil || f.api == nil {
		return 0, nil
	}
	out, err := f.output(shipper)
	if err != nil || out == nil {
		return 0, err
	}
	for _, pod := range here {
		for i := range pod.Status.ContainerStatuses {
			if err := f.ship(ctx, shipper, out, pod, &pod.Status.ContainerStatuses[i]); err != nil {
				return max(f.clock.Scale(fluentBitRetry), volumeRest), nil // it logs and goes on
			}
		}
	}
	return 0, nil
}

// output is the section [OUTPUT] of the pod's configuration, by its keys; nil if
// it sends nothing to CloudWatch.
func (f *fluentBit) output(pod *corev1.Pod) (map[string]string, error) {
	for _, v := range pod.Spec.Volumes {
		if v.ConfigMap == nil {
			continue
		}
		config, err := f.configs.ConfigMaps(pod.Namespace).Get(v.ConfigMap.Name)
		if err != nil {
			return nil, ignoreNotFound(err)
		}
		_, section, found := strings.Cut(config.Data["fluent-bit.conf"], "[OUTPUT]")
		if !found {
			return nil, nil
		}
		keys := map[string]string{}
		for line := range strings.SplitSeq(section, "\n") {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				keys[strings.ToLower(key)] = strings.TrimSpace(value)
			}
		}
		if keys["name"] == "cloudwatch_logs" {
			return keys, nil
		}
	}
	return nil, nil
}

// ship sends a container's lines once for each of its runs.
func (f *fluentBit) ship(ctx context.Context, shipper *corev1.Pod, out map[string]string, pod *corev1.Pod, s *corev1.ContainerStatus) error {
	key := fmt.Sprintf("%s/%s/%d", pod.UID, s.Name, s.RestartCount)
	if f.sent[key] || s.State.Running == nil && s.State.Terminated == nil {
		return nil
	}
	text, err := f.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: s.Name, LimitBytes: ptr.To[int64](64 << 10)}).DoRaw(ctx)
	if err != nil {
		return ignoreNotFound(err)
	}
	lines := strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' })
	if len(lines) > 0 {
		if err := f.put(ctx, shipper, out, streamName(out, pod, s.Name), lines); err != nil {
			return err
		}
	}
	f.sent[key] = true
	return nil
}

// streamName fills in log_stream_template, in which "." and "," divide what is
// replaced; without one it is log_stream_prefix and the name of the log file.
func streamName(out map[string]string, pod *corev1.Pod, container string) string {
	template := out["log_stream_template"]
	if template == "" {
		return out["log_stream_prefix"] + "kube.var.log.containers." + pod.Name + "_" + pod.Namespace + "_" + container + "-" + string(pod.UID) + ".log"
	}
	return strings.NewReplacer(
		"$kubernetes['namespace_name']", pod.Namespace, "$kubernetes['pod_name']", pod.Name, "$kubernetes['container_name']", container,
	).Replace(template)
}

func (f *fluentBit) put(ctx context.Context, shipper *corev1.Pod, out map[string]string, stream string, lines []string) error {
	api, err := f.api(ctx, shipper.Namespace, shipper.Spec.ServiceAccountName, shipper.Spec.NodeName)
	if err != nil {
		return err
	}
	group := aws.String(out["log_group_name"])
	create := func() error {
		_, err := api.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: &stream})
		return err
	}
	var missing *types.ResourceNotFoundException
	if err = create(); errors.As(err, &missing) && strings.EqualFold(out["auto_create_group"], "true") {
		if _, err = api.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}); err == nil {
			err = create()
		}
	}
	var exists *types.ResourceAlreadyExistsException
	if err != nil && !errors.As(err, &exists) {
		return err
	}
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: &stream}
	for _, line := range lines {
		in.LogEvents = append(in.LogEvents, types.InputLogEvent{Timestamp: aws.Int64(time.Now().UnixMilli()), Message: &line})
	}
	_, err = api.PutLogEvents(ctx, in)
	return err
}
