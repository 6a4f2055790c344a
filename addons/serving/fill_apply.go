package serving

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"aicluster/addons"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

const (
	// fillLimit bounds how long the models may take to be copied: EFS writes hundreds
	// of megabytes a second.
	fillLimit = 2 * time.Hour
	// fillPatience is how long what keeps a pod from its start may stand before it is
	// believed.
	fillPatience = 3 * time.Minute
)

// Apply implements engine.Resource.
func (f *Fill) Apply(ctx context.Context, p engine.Progress) error {
	c, err := f.connect()
	if err != nil {
		return cloud.Wrap(f.ID(), "connecting to the cluster", err)
	}
	var all []Object
	var jobs []string
	wanted := map[string]bool{}
	for _, w := range f.weights {
		objects, err := f.objects(ctx, w)
		if err != nil {
			return cloud.Wrap(f.ID(), "looking at model "+w.Name(), err)
		}
		all = append(all, objects...)
	}
	for _, o := range all {
		wanted[idOf(o)] = true
	}
	// A Job for what the model was must not write beside the new one.
	if err := f.remove(ctx, c, func(o objectOf) bool { return o.kind.Kind == "Job" && !wanted[o.id()] }); err != nil {
		return addons.Unreachable(f.ID(), "removing old Jobs", err)
	}
	for _, o := range all {
		if err := f.applyOne(ctx, c, o); err != nil {
			return addons.Unreachable(f.ID(), "applying "+idOf(o), err)
		}
		if idOf(o) == "Job/"+o.GetName() {
			jobs = append(jobs, o.GetName())
		}
	}
	if err := f.wait(ctx, c, jobs, p); err != nil {
		return err
	}
	return addons.Unreachable(f.ID(), "removing what is not wanted any more", f.remove(ctx, c, func(o objectOf) bool { return !wanted[o.id()] }))
}

// applyOne applies an object; the account of the Job's pods comes before the Job. A
// Job that has failed is made anew.
func (f *Fill) applyOne(ctx context.Context, c connection, o Object) error {
	k := fillKinds()[slices.IndexFunc(fillKinds(), func(k kind) bool { return k.GroupVersionKind == o.GetObjectKind().GroupVersionKind() })]
	u, err := wire(o)
	if err != nil {
		return err
	}
	if k.Kind == "Job" {
		if err := f.applyAccount(ctx, c, u); err != nil {
			return err
		}
		live, err := c.get(ctx, k, o.GetName())
		if err != nil || live != nil && jobState(live) != jobFailed {
			return err
		}
		if live != nil {
			if err := f.removeAndWait(ctx, c, k, o.GetName()); err != nil {
				return err
			}
		}
	}
	_, err = c.apply(ctx, k, u, FieldManager, false)
	return err
}

// applyAccount makes the service account that a Job's pods run as, as its service
// would.
func (f *Fill) applyAccount(ctx context.Context, c connection, job *unstructured.Unstructured) error {
	name, _, err := unstructured.NestedString(job.Object, "spec", "template", "spec", "serviceAccountName")
	if err != nil {
		return err
	}
	for _, svc := range f.blueprint.Serving {
		if svc.Name != name {
			continue
		}
		k, u, err := sendable(serviceAccount(f.blueprint, svc))
		if err != nil {
			return err
		}
		_, err = c.apply(ctx, k, u, FieldManager, false)
		return err
	}
	return nil
}

// wait returns when all Jobs are complete, and fails with the first that has failed.
func (f *Fill) wait(ctx context.Context, c connection, jobs []string, p engine.Progress) error {
	start, failures := time.Now(), 0
	var since time.Time // when pods were first kept from their start
	k := fillKinds()[len(fillKinds())-1]
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		done := 0
		for _, name := range jobs {
			live, err := c.get(ctx, k, name)
			if err != nil {
				if failures++; failures < maxReadErrors {
					return false, nil
				}
				return true, addons.Unreachable(f.ID(), "waiting for Job "+name, err)
			}
			switch {
			case live == nil:
				return true, cloud.Fail(f.ID(), "copying models to the file system", "Job "+name+" was deleted", "run up again")
			case jobState(live) == jobFailed:
				return true, f.failed(ctx, c, name)
			case jobState(live) == jobComplete:
				done++
			}
		}
		failures = 0
		words := f.words(ctx, c)
		p("%d of %d models copied%s", done, len(jobs), suffix(words))
		switch {
		case words == "":
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		if done < len(jobs) && (time.Since(start) > fillLimit || words != "" && time.Since(since) > fillPatience) {
			return true, cloud.Fail(f.ID(), "copying models to the file system", fmt.Sprintf("%d of %d are there after %s%s", done, len(jobs), time.Since(start).Round(time.Second), suffix(words)),
				"see `kubectl get pods,events -n "+Namespace+"`; run up again: it goes on where it stopped")
		}
		return done == len(jobs), nil
	})
}

// words say why a pod that copies does not start, in Kubernetes' words: it has no
// place, or waits for its volume.
func (f *Fill) words(ctx context.Context, c connection) string {
	events, err := c.client.CoreV1().Events(Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedMount"})
	if err != nil {
		return ""
	}
	pods, err := c.client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: f.ours().String(), FieldSelector: "status.phase=Pending"})
	if err != nil {
		return ""
	}
	for _, pod := range pods.Items {
		for _, condition := range pod.Status.Conditions {
			if condition.Reason == corev1.PodReasonUnschedulable {
				return "pod " + pod.Name + " finds no node: " + condition.Message
			}
		}
		for _, e := range slices.Backward(events.Items) {
			if e.InvolvedObject.Name == pod.Name {
				return strings.Join(strings.Fields(e.Message), " ")
			}
		}
	}
	return ""
}

// failed is a Job that was given up, with what its last pod wrote.
func (f *Fill) failed(ctx context.Context, c connection, job string) error {
	message := "Job " + job + " failed"
	pods, err := c.client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job})
	if err == nil {
		for _, pod := range pods.Items {
			if text := lastWords(pod); text != "" {
				message = "pod " + pod.Name + ": " + text
			}
		}
	}
	hint := "see `kubectl logs -n " + Namespace + " job/" + job + "`; run up again when the cause is mended"
	return cloud.Fail(f.ID(), "copying models to the file system", message, hint)
}

func lastWords(pod corev1.Pod) string {
	for _, s := range pod.Status.ContainerStatuses {
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return strings.TrimSpace(t.Message)
		}
	}
	return ""
}

// Delete implements engine.Resource. What was copied goes with the file system.
func (f *Fill) Delete(ctx context.Context, p engine.Progress) error {
	if !f.cluster.Ready() {
		return nil
	}
	c, err := f.connect()
	if err != nil {
		return cloud.Wrap(f.ID(), "connecting to the cluster", err)
	}
	p("removing the Jobs and their volumes")
	return addons.Unreachable(f.ID(), "removing the Jobs and their volumes", f.remove(ctx, c, func(objectOf) bool { return true }))
}

// remove deletes what was made to copy models, Jobs first, and waits until it is gone.
func (f *Fill) remove(ctx context.Context, c connection, which func(objectOf) bool) error {
	live, err := f.live(ctx, c)
	if err != nil {
		return err
	}
	for _, o := range slices.Backward(live) {
		if !which(o) {
			continue
		}
		if err := f.removeAndWait(ctx, c, o.kind, o.object.GetName()); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fill) removeAndWait(ctx context.Context, c connection, k kind, name string) error {
	if err := c.delete(ctx, k, name); err != nil {
		return err
	}
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		live, err := c.get(ctx, k, name)
		if err == nil && live != nil && time.Since(start) > goneLimit {
			err = fmt.Errorf("%s %s does not go away (finalizers: %v)", k.Kind, name, live.GetFinalizers())
		}
		return live == nil, err
	})
}
