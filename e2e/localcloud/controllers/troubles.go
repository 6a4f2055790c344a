package controllers

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"aicluster/e2e/localcloud/kube"
)

// troubleInterval is how often all pods are held against the faults, which come and
// go without a change of any pod.
const troubleInterval = 200 * time.Millisecond

// troubles tells kubelets what their pods are to meet, by an annotation.
type troubles struct {
	client kubernetes.Interface
	of     func(namespace, pod string) (kube.Trouble, bool)
	pods   corelisters.PodLister
	worker *worker
}

func newTroubles(o Options, client kubernetes.Interface, factory informers.SharedInformerFactory) (*troubles, error) {
	t := &troubles{client: client, of: o.PodTrouble, pods: factory.Core().V1().Pods().Lister()}
	if t.of == nil {
		t.of = func(string, string) (kube.Trouble, bool) { return kube.Trouble{}, false }
	}
	t.worker = newWorker("troubles", t.sync)
	return t, on(factory.Core().V1().Pods().Informer(), t.check)
}

// check asks for a pod that does not bear the annotation that it should.
func (t *troubles) check(p *corev1.Pod) {
	if p.Annotations[kube.TroubleAnnotation] != t.wanted(p) {
		t.worker.queue.Add(p.Namespace + "/" + p.Name)
	}
}

// wanted is the annotation that a pod should have; empty for none.
func (t *troubles) wanted(p *corev1.Pod) string {
	trouble, ok := t.of(p.Namespace, p.Name)
	if !ok {
		return ""
	}
	return trouble.Annotation()
}

func (t *troubles) run(ctx context.Context) {
	go func() { // ends with ctx, as the worker does
		tick := time.NewTicker(troubleInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			pods, _ := t.pods.List(labels.Everything())
			for _, p := range pods {
				t.check(p)
			}
		}
	}()
	t.worker.run(ctx)
}

func (t *troubles) sync(ctx context.Context, key string) (time.Duration, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return 0, err
	}
	p, err := t.pods.Pods(namespace).Get(name)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	value := any(nil) // takes the annotation away
	if w := t.wanted(p); w != "" {
		value = w
	}
	if p.Annotations[kube.TroubleAnnotation] == t.wanted(p) {
		return 0, nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID, "annotations": map[string]any{kube.TroubleAnnotation: value}}})
	if err != nil {
		return 0, err
	}
	_, err = t.client.CoreV1().Pods(namespace).Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{})
	return 0, ignoreNotFound(err)
}
