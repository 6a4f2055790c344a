package eks

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// nodeConfig is the part of nodeadm's NodeConfig that decides how a node joins
// (https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/).
type nodeConfig struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	Spec       struct {
		Cluster struct {
			Name                 string `json:"name,omitempty"`
			APIServerEndpoint    string `json:"apiServerEndpoint,omitempty"`
			CertificateAuthority string `json:"certificateAuthority,omitempty"`
			CIDR                 string `json:"cidr,omitempty"`
			EnableOutpost        bool   `json:"enableOutpost,omitempty"`
			ID                   string `json:"id,omitempty"`
		} `json:"cluster,omitempty"`
		Containerd struct {
			Config          string         `json:"config,omitempty"`
			BaseRuntimeSpec map[string]any `json:"baseRuntimeSpec,omitempty"`
		} `json:"containerd,omitempty"`
		FeatureGates map[string]bool `json:"featureGates,omitempty"`
		Instance     struct {
			Environment  map[string]map[string]string `json:"environment,omitempty"`
			LocalStorage struct {
				Strategy       string   `json:"strategy,omitempty"`
				MountPath      string   `json:"mountPath,omitempty"`
				DisabledMounts []string `json:"disabledMounts,omitempty"`
			} `json:"localStorage,omitempty"`
			Network map[string]any `json:"network,omitempty"`
		} `json:"instance,omitempty"`
		Kubelet struct {
			Config            map[string]any `json:"config,omitempty"`
			Flags             []string       `json:"flags,omitempty"`
			MaxPodsExpression string         `json:"maxPodsExpression,omitempty"`
		} `json:"kubelet,omitempty"`
	} `json:"spec"`
}

// bootConfig is what an instance's user data comes to.
type bootConfig struct {
	raid0   bool // NVMe disks hold kubelet and containerd
	maxPods int  // from the kubelet's configuration; 0 for the default
	labels  map[string]string
	cluster bool // the cluster's name, endpoint, authority and CIDR are all there

	name, endpoint, authority string // of the cluster, as far as they are there
	taints                    []corev1.Taint
}

// parseUserData reads base64 user data as nodeadm does: a MIME multi-part
// archive whose parts of type application/node.eks.aws are NodeConfigs, a later
// one winning, or a bare NodeConfig or script when the image is the user's own.
// An error is a node that never joins.
func parseUserData(encoded string, ownImage bool) (bootConfig, error) {
	var boot bootConfig
	if encoded == "" {
		return boot, nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return boot, fmt.Errorf("user data is not base64: %w", err)
	}
	parts, err := nodeConfigParts(raw, ownImage)
	if err != nil {
		return boot, err
	}
	for _, part := range parts {
		if err := boot.merge(part); err != nil {
			return boot, err
		}
	}
	return boot, nil
}

// nodeConfigParts are the NodeConfig documents in the user data.
func nodeConfigParts(raw []byte, ownImage bool) ([][]byte, error) {
	if ownImage && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("apiVersion:")) {
		return [][]byte{raw}, nil
	}
	if ownImage && bytes.HasPrefix(raw, []byte("#!")) {
		return nil, nil
	}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("user data is not in the MIME multi part format: %w", err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return nil, errors.New("user data is not in the MIME multi part format")
	}
	var parts [][]byte
	reader := multipart.NewReader(msg.Body, params["boundary"])
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("user data: %w", err)
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			return nil, fmt.Errorf("user data: a part's Content-Type: %w", err)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("user data: %w", err)
		}
		if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "base64") {
			if body, err = base64.StdEncoding.DecodeString(string(bytes.TrimSpace(body))); err != nil {
				return nil, fmt.Errorf("user data: %w", err)
			}
		}
		if kind == "application/node.eks.aws" {
			parts = append(parts, body)
		}
	}
}

// merge takes over one NodeConfig document, strictly.
func (b *bootConfig) merge(document []byte) error {
	var c nodeConfig
	if err := yaml.UnmarshalStrict(document, &c); err != nil {
		return fmt.Errorf("NodeConfig: %w", err)
	}
	if c.APIVersion != "node.eks.aws/v1alpha1" || c.Kind != "NodeConfig" {
		return fmt.Errorf("NodeConfig: unknown %s %s", c.APIVersion, c.Kind)
	}
	storage := c.Spec.Instance.LocalStorage
	if !slices.Contains([]string{"", "RAID0", "RAID10", "Mount"}, storage.Strategy) {
		return fmt.Errorf("NodeConfig: unknown local storage strategy %q", storage.Strategy)
	}
	if storage.Strategy != "" {
		b.raid0 = storage.Strategy == "RAID0" || storage.Strategy == "RAID10"
	}
	for _, m := range storage.DisabledMounts {
		if !slices.Contains([]string{"Containerd", "PodLogs", "SOCI"}, m) {
			return fmt.Errorf("NodeConfig: unknown disabled mount %q", m)
		}
	}
	for gate := range c.Spec.FeatureGates {
		if gate != "InstanceIdNodeName" && gate != "FastImagePull" {
			return fmt.Errorf("NodeConfig: unknown feature gate %q", gate)
		}
	}
	if n, ok := c.Spec.Kubelet.Config["maxPods"].(float64); ok {
		b.maxPods = int(n)
	}
	if list, ok := c.Spec.Kubelet.Config["registerWithTaints"]; ok {
		text, err := json.Marshal(list)
		if err == nil {
			err = json.Unmarshal(text, &b.taints)
		}
		if err != nil {
			return fmt.Errorf("NodeConfig: registerWithTaints: %w", err)
		}
	}
	if err := b.kubeletFlags(c.Spec.Kubelet.Flags); err != nil {
		return err
	}
	cl := c.Spec.Cluster
	b.name, b.endpoint, b.authority = cmp.Or(cl.Name, b.name), cmp.Or(cl.APIServerEndpoint, b.endpoint), cmp.Or(cl.CertificateAuthority, b.authority)
	b.cluster = b.cluster || cl.Name != "" && cl.APIServerEndpoint != "" && cl.CertificateAuthority != "" && cl.CIDR != ""
	return nil
}

// kubeletFlags takes over --node-labels.
func (b *bootConfig) kubeletFlags(flags []string) error {
	for _, flag := range flags {
		if !strings.HasPrefix(flag, "--") {
			return fmt.Errorf("NodeConfig: kubelet flag %q does not begin with --", flag)
		}
		list, ok := strings.CutPrefix(flag, "--node-labels=")
		if !ok {
			continue
		}
		for pair := range strings.SplitSeq(strings.Trim(list, `"`), ",") {
			k, v, ok := strings.Cut(pair, "=")
			if !ok {
				return fmt.Errorf("NodeConfig: node label %q has no value", pair)
			}
			if b.labels == nil {
				b.labels = map[string]string{}
			}
			b.labels[k] = v
		}
	}
	return nil
}
