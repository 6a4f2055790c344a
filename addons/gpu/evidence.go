package gpu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/addons"
)

// That a smoke pod passed is kept in the cluster, with a hash of what it passed
// on, so that the next run knows without running one again.
const (
	evidenceNamespace = "kube-system"
	keyHash           = "verified"
	keyTime           = "verifiedAt"
)

// fingerprint is a hash of what a smoke pod's success depends on: the images
// and launch templates of the nodes, the operator and the smoke image. More
// nodes of the same kind do not change it.
func fingerprint(nodes []corev1.Node, operatorVersion, image string) string {
	parts := map[string]bool{"operator " + operatorVersion: true, "image " + image: true}
	for _, n := range nodes {
		parts[strings.Join([]string{"node", n.Labels[labelImage], n.Labels[labelTemplate], n.Labels[labelTemplateNumber]}, " ")] = true
	}
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(maps.Keys(parts)), "\n")))
	return hex.EncodeToString(sum[:8])
}

// evidence is the kept hash, or empty.
func (c *Check) evidence(ctx context.Context, i inspector) (string, error) {
	kept, err := i.client.CoreV1().ConfigMaps(evidenceNamespace).Get(ctx, c.evidenceName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading ConfigMap %s: %w", c.evidenceName(), err)
	}
	return kept.Data[keyHash], nil
}

// keepEvidence records the hash.
func (c *Check) keepEvidence(ctx context.Context, i inspector, hash string) error {
	maps := i.client.CoreV1().ConfigMaps(evidenceNamespace)
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: c.evidenceName(), Namespace: evidenceNamespace, Labels: addons.OwnerLabels(c.cluster.Name())},
		Data:       map[string]string{keyHash: hash, keyTime: i.now().UTC().Format(time.RFC3339)},
	}
	_, err := maps.Update(ctx, object, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, object, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s: %w", object.Name, err)
	}
	return nil
}

func (c *Check) evidenceName() string { return objectName("aicluster-verified", c.pool.Name) }
