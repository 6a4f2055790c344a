package ec2

import (
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// CreateLaunchTemplate makes a template for another service, such as the copy
// that EKS makes for a node group.
func (s *Service) CreateLaunchTemplate(region string, in TemplateSpec) (Template, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	createdBy := in.CreatedBy
	if createdBy == "" {
		createdBy = "arn:aws:iam::" + account + ":root"
	}
	t, err := r.addTemplate(in.Name, createdBy, "", &in.Data)
	if err != nil {
		return Template{}, err
	}
	r.tags[t.id] = maps.Clone(in.Tags)
	return r.templateSnapshot(t, t.versions[1]), nil
}

// AddLaunchTemplateVersion adds a version to a template and makes it the default.
func (s *Service) AddLaunchTemplateVersion(region, id string, in types.RequestLaunchTemplateData) (Template, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	t, err := lookup(r.templates, kindTemplate, &id)
	if err != nil {
		return Template{}, err
	}
	data, err := templateData(&in)
	if err != nil {
		return Template{}, err
	}
	t.latest++
	t.standard = t.latest
	t.versions[t.latest] = &templateVersion{number: t.latest, createdBy: t.createdBy, created: now(), data: data}
	return r.templateSnapshot(t, t.versions[t.latest]), nil
}

// DeleteLaunchTemplate deletes a template; an unknown id is no error.
func (s *Service) DeleteLaunchTemplate(region, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	if _, ok := r.templates.get(id); ok {
		r.templates.remove(id)
		r.forget(id)
	}
}

// NamedLaunchTemplate is LaunchTemplate for a template that a caller names: one
// that was made a moment ago does not exist yet.
func (s *Service) NamedLaunchTemplate(region, idOrName, version string) (Template, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.seenRegion(region)
	t, v, err := r.templateVersion(idOrName, version)
	if err != nil {
		return Template{}, err
	}
	return r.templateSnapshot(t, v), nil
}

// LaunchTemplate returns one version of the template with this id or name.
// Version is a number, $Latest or $Default (also when empty).
func (s *Service) LaunchTemplate(region, idOrName, version string) (Template, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	t, v, err := r.templateVersion(idOrName, version)
	if err != nil {
		return Template{}, err
	}
	return r.templateSnapshot(t, v), nil
}

func (r *region) templateVersion(idOrName, version string) (*template, *templateVersion, error) {
	id, name := &idOrName, (*string)(nil)
	if !strings.HasPrefix(idOrName, "lt-") {
		id, name = nil, &idOrName
	}
	t, err := r.findTemplate(id, name)
	if err != nil {
		return nil, nil, err
	}
	v, err := t.version(version)
	return t, v, err
}

func (r *region) templateSnapshot(t *template, v *templateVersion) Template {
	return Template{ID: t.id, Name: t.name, Version: v.number, Default: t.standard, Latest: t.latest, Data: v.data, Tags: r.tagsOf(t.id)}
}
