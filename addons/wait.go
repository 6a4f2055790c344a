package addons

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/kubernetes"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// waiter is Helm's client with waits of our own. Helm's end only by a timeout,
// and its cancellable install leaves the work running behind the caller's back;
// these end with ctx, say how far they are, and give up on pods that cannot start.
type waiter struct {
	*kube.Client
	ctx      context.Context
	client   kubernetes.Interface
	progress engine.Progress
}

// maxReadErrors is how many reads in a row may fail before a wait gives up.
const maxReadErrors = 10

// Wait implements kube.Interface.
func (w *waiter) Wait(objects kube.ResourceList, limit time.Duration) error {
	return w.waitReady(objects, limit, kube.NewReadyChecker(w.client, w.Log, kube.PausedAsReady(true)))
}

// WaitWithJobs implements kube.Interface.
func (w *waiter) WaitWithJobs(objects kube.ResourceList, limit time.Duration) error {
	return w.waitReady(objects, limit, kube.NewReadyChecker(w.client, w.Log, kube.PausedAsReady(true), kube.CheckJobs(true)))
}

func (w *waiter) waitReady(objects kube.ResourceList, limit time.Duration, checker kube.ReadyChecker) error {
	waiting, failures, start := objects, 0, time.Now()
	troubles := newTroubles(w.client)
	return cloud.Poll(w.ctx, func(ctx context.Context) (bool, error) {
		var still kube.ResourceList
		for _, object := range waiting {
			ready, err := checker.IsReady(ctx, object)
			if err != nil && !apierrors.IsNotFound(err) {
				if failures++; failures > maxReadErrors {
					return true, fmt.Errorf("waiting for %s: %w", objectName(object), err)
				}
			}
			if !ready {
				still = append(still, object)
			}
		}
		if waiting = still; len(waiting) == 0 {
			return true, nil
		}
		trouble, hopeless := troubles.look(ctx, waiting)
		if hopeless || time.Since(start) > limit {
			return true, notReady(waiting, trouble)
		}
		w.say("%d of %d objects ready; waiting for %s%s", len(objects)-len(waiting), len(objects), objectName(waiting[0]), suffix(trouble))
		return false, nil
	})
}

// notReady is the error of a wait that ends without success.
func notReady(waiting kube.ResourceList, trouble string) error {
	message := objectName(waiting[0]) + " does not become ready"
	if len(waiting) > 1 {
		message += fmt.Sprintf(", nor do %d more objects", len(waiting)-1)
	}
	return errors.New(message + suffix(trouble))
}

func suffix(trouble string) string {
	if trouble == "" {
		return ""
	}
	return ": " + trouble
}

func objectName(o *resource.Info) string {
	return o.Mapping.GroupVersionKind.Kind + " " + o.Name
}

func (w *waiter) say(format string, args ...any) {
	if w.progress != nil {
		w.progress(format, args...)
	}
}

// WatchUntilReady implements kube.Interface. It is for hooks: a Job must
// complete and a Pod succeed; any other object needs only to be there.
func (w *waiter) WatchUntilReady(objects kube.ResourceList, limit time.Duration) error {
	start := time.Now()
	troubles := newTroubles(w.client)
	for _, object := range objects {
		trouble := "" // the last one seen: a Job that gives up takes its pods with it
		err := cloud.Poll(w.ctx, func(ctx context.Context) (bool, error) {
			done, err := w.hookDone(ctx, object)
			switch {
			case !errors.Is(err, errHookGone):
			case troubles.stuck:
				err = fmt.Errorf("%s has failed and is gone", objectName(object))
			default:
				err = nil // a time to live removed it once it had completed
			}
			if err != nil && trouble != "" {
				err = fmt.Errorf("%w%s", err, suffix(trouble))
			}
			if done || err != nil {
				return true, err
			}
			now, hopeless := troubles.look(ctx, kube.ResourceList{object})
			if now != "" {
				trouble = now
			}
			if hopeless || time.Since(start) > limit {
				return true, fmt.Errorf("the hook %s does not end after %s%s", objectName(object), time.Since(start).Round(time.Second), suffix(now))
			}
			w.say("waiting for the hook %s%s", objectName(object), suffix(now))
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *waiter) hookDone(ctx context.Context, object *resource.Info) (bool, error) {
	switch object.Mapping.GroupVersionKind.Kind {
	case "Job":
		job, err := w.client.BatchV1().Jobs(object.Namespace).Get(ctx, object.Name, v1.GetOptions{})
		if err != nil {
			return apierrors.IsNotFound(err), goneHook(err)
		}
		return jobDone(job)
	case "Pod":
		pod, err := w.client.CoreV1().Pods(object.Namespace).Get(ctx, object.Name, v1.GetOptions{})
		if err != nil {
			return apierrors.IsNotFound(err), goneHook(err)
		}
		if pod.Status.Phase == corev1.PodFailed {
			return true, fmt.Errorf("pod %s failed: %s", pod.Name, pod.Status.Message)
		}
		return pod.Status.Phase == corev1.PodSucceeded, nil
	}
	return true, nil
}

// errHookGone is a hook that is not there any more. A Job with a time to live of
// zero, as ingress-nginx has them, goes at once when it has ended, either way.
var errHookGone = errors.New("the hook is gone")

func goneHook(err error) error {
	if apierrors.IsNotFound(err) {
		return errHookGone
	}
	return err
}

func jobDone(job *batchv1.Job) (bool, error) {
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			return true, nil
		case batchv1.JobFailed:
			return true, fmt.Errorf("job %s failed: %s: %s", job.Name, c.Reason, c.Message)
		}
	}
	return false, nil
}

// WaitForDelete implements kube.InterfaceExt.
func (w *waiter) WaitForDelete(objects kube.ResourceList, limit time.Duration) error {
	start, waiting := time.Now(), objects
	return cloud.Poll(w.ctx, func(context.Context) (bool, error) {
		var still kube.ResourceList
		for _, object := range waiting {
			if err := object.Get(); err == nil {
				still = append(still, object)
			} else if !apierrors.IsNotFound(err) {
				return true, err
			}
		}
		if waiting = still; len(waiting) == 0 {
			return true, nil
		}
		if time.Since(start) > limit {
			return true, fmt.Errorf("%s does not go away (finalizers: %v)", objectName(waiting[0]), finalizers(waiting[0]))
		}
		w.say("%d of %d objects gone; waiting for %s", len(objects)-len(waiting), len(objects), objectName(waiting[0]))
		return false, nil
	})
}

func finalizers(o *resource.Info) []string {
	if accessor, ok := o.Object.(v1.Object); ok {
		return accessor.GetFinalizers()
	}
	return nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// plural is "1 volume" or "2 volumes".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
