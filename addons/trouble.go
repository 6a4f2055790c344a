package addons

import (
	"context"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/addons/doctor"
)

// patience is how long a pod may be in a state that seldom heals before a wait
// gives up on it.
const patience = 2 * time.Minute

// troubles looks for the pods that hold up a wait, and remembers since when
// they are stuck.
type troubles struct {
	client kubernetes.Interface
	since  map[string]time.Time
	stuck  bool // as the pods were when there were any
}

func newTroubles(client kubernetes.Interface) *troubles {
	return &troubles{client: client, since: map[string]time.Time{}}
}

// look names one pod that keeps one of the objects from getting ready. hopeless
// tells that it has been stuck for too long. A cluster that does not answer has
// no troubles to tell.
func (t *troubles) look(ctx context.Context, objects kube.ResourceList) (words string, hopeless bool) {
	for _, object := range objects {
		selector, err := kube.SelectorsForObject(kube.AsVersioned(object))
		if err != nil {
			continue // not a kind that has pods
		}
		pods, err := t.client.CoreV1().Pods(object.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
		if err != nil {
			return "", false
		}
		for i := range pods.Items {
			trouble, sick := doctor.Explain(&pods.Items[i])
			if !sick {
				delete(t.since, pods.Items[i].Name)
				t.stuck = false
				continue
			}
			if trouble.Stuck && t.stuckFor(pods.Items[i].Name) > patience {
				t.stuck = true
				return trouble.String() + " (" + trouble.What + ": " + trouble.Next + ")", true
			}
			words, t.stuck = trouble.String(), trouble.Stuck
		}
	}
	return words, false
}

func (t *troubles) stuckFor(pod string) time.Duration {
	since, ok := t.since[pod]
	if !ok {
		t.since[pod] = time.Now()
		return 0
	}
	return time.Since(since)
}
