package blueprints

import (
	"reflect"
	"strconv"
	"strings"

	"aicluster/blueprints/instancetypes"
)

// Defaults of what depends on other fields, and so is not in the tags.
const (
	defaultCIDR          = "10.42.0.0/16"
	defaultNATGateways   = "single"
	defaultRootVolume    = 100 // GiB; EKS's own default of 20 is filled by a few images
	defaultGPURootVolume = 200 // GiB; images with CUDA are 10 to 20 GiB each
)

// Defaults fills in what the file leaves out, so that other packages find no nil
// among the EKS add-ons and no zero that means something else. It can be called
// again without effect. Absent Helm charts stay nil: they are not installed.
func (b *Blueprint) Defaults() {
	for _, addon := range b.Addons.eks() {
		if *addon == nil {
			*addon = &EKSAddon{}
		}
	}
	fromTags(reflect.ValueOf(b).Elem())

	if b.Cluster.SupportType == "" {
		// EKS's own default is extended, which makes the control plane six times
		// as dear one day without a word. Where extended is the only choice left,
		// EKS refuses standard.
		b.Cluster.SupportType = "standard"
		if inExtendedSupport(b.Cluster.Version) {
			b.Cluster.SupportType = "extended"
		}
	}
	if b.Network.VPCID == "" {
		setIfEmpty(&b.Network.CIDR, defaultCIDR)
		setIfEmpty(&b.Network.NATGateways, defaultNATGateways)
	}
	for i := range b.NodePools {
		b.NodePools[i].defaults()
	}
	for i := range b.Serving {
		b.serviceDefaults(&b.Serving[i])
	}
	b.Addons.choices()
}

// serviceDefaults fills in what depends on the service's pool.
func (b *Blueprint) serviceDefaults(s *Service) {
	if s.Replicas == nil && s.Autoscaling == nil {
		one := 1
		s.Replicas = &one
	}
	if s.Load == "" {
		s.Load = LoadStream
		if pool := b.Pool(s.Pool); pool != nil && pool.LocalStorage != "none" {
			s.Load = LoadCopy
		}
	}
	setIfEmpty(&s.Image, VLLMImage)
	s.Resources = b.Pool(s.Pool).resources(s.GPUs, s.Resources)
	switch s.Load {
	case LoadMount:
		ensure(&b.Addons.MountpointS3CSIDriver)
	case LoadEFS:
		ensure(&b.Addons.EFSCSIDriver)
	}
}

// choices switches on what the words for ingress and autoscaler stand for, and
// the other way round.
func (a *Addons) choices() {
	switch {
	case a.Ingress == "gateway":
		ensure(&a.EnvoyGateway)
	case a.Ingress == "nginx":
		ensure(&a.IngressNginx)
	case a.IngressNginx != nil:
		a.Ingress = "nginx"
	case a.EnvoyGateway != nil:
		a.Ingress = "gateway"
	}
	switch {
	case a.Autoscaler == "karpenter":
		ensure(&a.Karpenter)
	case a.Autoscaler == "clusterAutoscaler":
		ensure(&a.ClusterAutoscaler)
	case a.ClusterAutoscaler != nil:
		a.Autoscaler = "clusterAutoscaler"
	case a.Karpenter != nil:
		a.Autoscaler = "karpenter"
	}
	for _, addon := range []*EKSAddon{a.EFSCSIDriver, a.MountpointS3CSIDriver} {
		if addon != nil && addon.Enabled == nil {
			on := true
			addon.Enabled = &on
		}
	}
}

func ensure[T any](p **T) {
	if *p == nil {
		*p = new(T)
	}
}

// Pool is the pool of that name; nil if there is none.
func (b *Blueprint) Pool(name string) *NodePool {
	for i := range b.NodePools {
		if b.NodePools[i].Name == name {
			return &b.NodePools[i]
		}
	}
	return nil
}

func (p *NodePool) defaults() {
	if p.RootVolume.SizeGiB == 0 {
		p.RootVolume.SizeGiB = defaultRootVolume
		if p.GPUs() > 0 {
			p.RootVolume.SizeGiB = defaultGPURootVolume
		}
	}
	if p.LocalStorage == "" {
		p.LocalStorage = "raid0"
		for _, name := range p.InstanceTypes {
			if info, _ := instancetypes.Lookup(name); len(info.NVMeGB) == 0 {
				p.LocalStorage = "none"
			}
		}
	}
}

// GPUs is the number of GPUs of each node of the pool, as far as its instance
// types are in the table of package instancetypes.
func (p *NodePool) GPUs() int {
	if p == nil {
		return 0
	}
	for _, name := range p.InstanceTypes {
		if info, ok := instancetypes.Lookup(name); ok {
			return info.GPUs
		}
	}
	return 0
}

// eks lists the fields of the EKS add-ons.
func (a *Addons) eks() []**EKSAddon {
	return []**EKSAddon{&a.VPCCNI, &a.KubeProxy, &a.CoreDNS, &a.PodIdentityAgent, &a.MetricsServer, &a.EBSCSIDriver}
}

func setIfEmpty(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// fromTags sets the zero fields of a struct, and of the structs in it, to the
// defaults in their tags.
func fromTags(v reflect.Value) {
	for i := range v.NumField() {
		field, f := v.Type().Field(i), v.Field(i)
		if !field.IsExported() {
			continue
		}
		if text, ok := tagDefault(field); ok && f.IsZero() {
			setText(f, text)
		}
		switch f.Kind() {
		case reflect.Struct:
			fromTags(f)
		case reflect.Pointer:
			if !f.IsNil() && f.Elem().Kind() == reflect.Struct {
				fromTags(f.Elem())
			}
		case reflect.Slice:
			for j := range f.Len() {
				if f.Index(j).Kind() == reflect.Struct {
					fromTags(f.Index(j))
				}
			}
		}
	}
}

func tagDefault(field reflect.StructField) (string, bool) {
	for _, part := range strings.Split(field.Tag.Get("jsonschema"), ",") {
		if text, ok := strings.CutPrefix(part, "default="); ok {
			return text, true
		}
	}
	return "", false
}

// setText sets a string, int, bool or *bool.
func setText(f reflect.Value, text string) {
	if f.Kind() == reflect.Pointer {
		f.Set(reflect.New(f.Type().Elem()))
		f = f.Elem()
	}
	switch f.Kind() {
	case reflect.String:
		f.SetString(text)
	case reflect.Int:
		n, _ := strconv.Atoi(text)
		f.SetInt(int64(n))
	case reflect.Bool:
		f.SetBool(text == "true")
	}
}
