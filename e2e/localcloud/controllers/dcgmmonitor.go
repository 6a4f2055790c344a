package controllers

import (
	"context"
	"encoding/json"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

var (
	definitionResource     = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	serviceMonitorResource = schema.GroupVersionResource{Group: monitoringGroup, Version: "v1", Resource: "servicemonitors"}
)

const dcgmExporter = "nvidia-dcgm-exporter"

// dcgmMonitor keeps the ServiceMonitor of the DCGM exporter. Where the kind does not
// exist there is none, and nothing says so (controllers/object_controls.go,
// ServiceMonitor).
func (g *gpuOperator) dcgmMonitor(ctx context.Context, policy *unstructured.Unstructured) error {
	if _, err := g.dyn.Resource(definitionResource).Get(ctx, "servicemonitors."+monitoringGroup, metav1.GetOptions{}); err != nil {
		return ignoreNotFound(err)
	}
	var exporter struct {
		Enabled        *bool
		ServiceMonitor struct {
			Enabled          *bool             `json:"enabled"`
			Interval         string            `json:"interval"`
			HonorLabels      bool              `json:"honorLabels"`
			AdditionalLabels map[string]string `json:"additionalLabels"`
		} `json:"serviceMonitor"`
	}
	if err := section(policy, "dcgmExporter", &exporter); err != nil {
		return err
	}
	api := g.dyn.Resource(serviceMonitorResource).Namespace(g.session.namespace)
	wanted := exporter.ServiceMonitor
	if !ptr.Deref(exporter.Enabled, true) || !ptr.Deref(wanted.Enabled, false) {
		return ignoreNotFound(api.Delete(ctx, dcgmExporter, metav1.DeleteOptions{}))
	}
	labels := map[string]string{"app": dcgmExporter}
	for key, value := range wanted.AdditionalLabels {
		labels[key] = value
	}
	endpoint := map[string]any{"port": "gpu-metrics", "path": "/metrics", "honorLabels": wanted.HonorLabels}
	if wanted.Interval != "" {
		endpoint["interval"] = wanted.Interval
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": serviceMonitorResource.GroupVersion().String(), "kind": "ServiceMonitor",
		"metadata": map[string]any{"name": dcgmExporter, "namespace": g.session.namespace, "labels": labels,
			"ownerReferences": []metav1.OwnerReference{*metav1.NewControllerRef(policy, policyKind)}},
		"spec": map[string]any{
			"jobLabel": "app", "endpoints": []any{endpoint},
			"selector":          map[string]any{"matchLabels": map[string]any{"app": dcgmExporter}},
			"namespaceSelector": map[string]any{"matchNames": []string{g.session.namespace}},
		},
	})
	if err != nil {
		return err
	}
	_, err = api.Patch(ctx, dcgmExporter, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "gpu-operator", Force: ptr.To(true)})
	if apierrors.IsNotFound(err) { // the kind is going
		return nil
	}
	return err
}
