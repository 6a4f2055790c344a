package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/wire"
)

// provider is an OpenID Connect identity provider.
type provider struct {
	url         string // without the scheme, as IAM keeps it
	clients     []string
	thumbprints []string
	created     time.Time
	tags        map[string]string
}

func registerProviders(w *wire.Server, a api) {
	handle(w, a.CreateOpenIDConnectProvider)
	handle(w, a.GetOpenIDConnectProvider)
	handle(w, a.DeleteOpenIDConnectProvider)
	handle(w, a.ListOpenIDConnectProviders)
}

// CreateOpenIDConnectProvider makes a provider; its ARN follows from its URL.
func (a api) CreateOpenIDConnectProvider(_ context.Context, in *iam.CreateOpenIDConnectProviderInput) (*iam.CreateOpenIDConnectProviderOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u, err := url.Parse(*in.Url)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, &wire.Error{Code: "ValidationError", Message: "Invalid Open ID Connect Provider URL"}
	}
	switch { // the words are moto's, which has them from AWS
	case len(in.ThumbprintList) > 5:
		return nil, invalidInput("Thumbprint list must contain fewer than 5 entries.")
	case len(in.ClientIDList) > clientsPerProvider:
		return nil, overQuota("ClientIdsPerOpenIdConnectProvider", clientsPerProvider)
	case len(a.providers) >= providersPerAccount:
		return nil, overQuota("OpenIdConnectProvidersPerAccount", providersPerAccount)
	}
	if err := checkTags(in.Tags, nil); err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(*in.Url, "https://")
	arn := "arn:aws:iam::" + account + ":oidc-provider/" + name
	if a.providers[arn] != nil {
		return nil, alreadyExists("Provider with url %s already exists.", *in.Url)
	}
	a.providers[arn] = &provider{
		url: name, clients: slices.Clone(in.ClientIDList), thumbprints: slices.Clone(in.ThumbprintList), created: now(), tags: tagMap(in.Tags),
	}
	return &iam.CreateOpenIDConnectProviderOutput{OpenIDConnectProviderArn: aws.String(arn), Tags: tagList(tagMap(in.Tags))}, nil
}

// GetOpenIDConnectProvider describes a provider.
func (a api) GetOpenIDConnectProvider(_ context.Context, in *iam.GetOpenIDConnectProviderInput) (*iam.GetOpenIDConnectProviderOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.providers[*in.OpenIDConnectProviderArn]
	if p == nil {
		return nil, noSuchEntity("OpenIDConnect Provider not found for arn %s", *in.OpenIDConnectProviderArn)
	}
	return &iam.GetOpenIDConnectProviderOutput{
		Url: aws.String(p.url), ClientIDList: slices.Clone(p.clients), ThumbprintList: slices.Clone(p.thumbprints),
		CreateDate: aws.Time(p.created), Tags: tagList(p.tags),
	}, nil
}

// DeleteOpenIDConnectProvider deletes a provider. It is idempotent: deleting one
// that is not there succeeds (API reference of DeleteOpenIDConnectProvider).
func (a api) DeleteOpenIDConnectProvider(_ context.Context, in *iam.DeleteOpenIDConnectProviderInput) (*iam.DeleteOpenIDConnectProviderOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.providers, *in.OpenIDConnectProviderArn)
	return &iam.DeleteOpenIDConnectProviderOutput{}, nil
}

// ListOpenIDConnectProviders lists the ARNs of all providers.
func (a api) ListOpenIDConnectProviders(context.Context, *iam.ListOpenIDConnectProvidersInput) (*iam.ListOpenIDConnectProvidersOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := &iam.ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: []types.OpenIDConnectProviderListEntry{}}
	for _, arn := range sortedKeys(a.providers) {
		out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, types.OpenIDConnectProviderListEntry{Arn: aws.String(arn)})
	}
	return out, nil
}
