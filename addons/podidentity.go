package addons

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// PodIdentityAPI is what pod identity associations need of EKS.
type PodIdentityAPI interface {
	CreatePodIdentityAssociation(context.Context, *eks.CreatePodIdentityAssociationInput, ...func(*eks.Options)) (*eks.CreatePodIdentityAssociationOutput, error)
	DeletePodIdentityAssociation(context.Context, *eks.DeletePodIdentityAssociationInput, ...func(*eks.Options)) (*eks.DeletePodIdentityAssociationOutput, error)
	DescribePodIdentityAssociation(context.Context, *eks.DescribePodIdentityAssociationInput, ...func(*eks.Options)) (*eks.DescribePodIdentityAssociationOutput, error)
	ListPodIdentityAssociations(context.Context, *eks.ListPodIdentityAssociationsInput, ...func(*eks.Options)) (*eks.ListPodIdentityAssociationsOutput, error)
	TagResource(context.Context, *eks.TagResourceInput, ...func(*eks.Options)) (*eks.TagResourceOutput, error)
	UpdatePodIdentityAssociation(context.Context, *eks.UpdatePodIdentityAssociationInput, ...func(*eks.Options)) (*eks.UpdatePodIdentityAssociationOutput, error)
}

// PodIdentity gives the pods of one service account an IAM role. The pods see
// it only if it exists when they start, so what runs them needs this resource.
type PodIdentity struct {
	api            PodIdentityAPI
	owner          cloud.Owner
	cluster        Cluster
	namespace      string
	serviceAccount string
	role           Role
	needs          []engine.Resource
	unwanted       bool // it is to go: see NewRemovedPodIdentity

	live *types.PodIdentityAssociation
}

// NewPodIdentity makes the resource "podidentity/<service account>". It needs
// the cluster and, in needs, the role and the add-on eks-pod-identity-agent.
func NewPodIdentity(api PodIdentityAPI, owner cloud.Owner, cluster Cluster, namespace, serviceAccount string, role Role, needs ...engine.Resource) *PodIdentity {
	return &PodIdentity{api: api, owner: owner, cluster: cluster, namespace: namespace, serviceAccount: serviceAccount,
		role: role, needs: append([]engine.Resource{cluster}, needs...)}
}

// ID implements engine.Resource.
func (i *PodIdentity) ID() string { return "podidentity/" + i.serviceAccount }

// Needs implements engine.Resource.
func (i *PodIdentity) Needs() []engine.Resource { return i.needs }

// Container implements engine.Inner.
func (i *PodIdentity) Container() engine.Resource { return i.cluster }

// Observe implements engine.Resource.
func (i *PodIdentity) Observe(ctx context.Context) (engine.Observation, error) {
	i.live = nil
	if i.unwanted {
		return i.observeUnwanted(ctx)
	}
	missing := engine.Observation{Changes: []engine.Change{{Field: "role", Wanted: orNil(i.role.ARN()), Policy: engine.PolicyCreate}}}
	if !i.cluster.Ready() {
		return missing, nil
	}
	if err := i.find(ctx); err != nil {
		return engine.Observation{}, err
	}
	if i.live == nil {
		return missing, nil
	}
	o := engine.Observation{Exists: true, Detail: aws.ToString(i.live.AssociationId)}
	if live := aws.ToString(i.live.RoleArn); live != i.role.ARN() {
		o.Changes = append(o.Changes, engine.Change{Field: "role", Live: live, Wanted: orNil(i.role.ARN()), Policy: engine.PolicyInPlace})
	}
	o.Changes = append(o.Changes, engine.TagChanges(i.live.Tags, i.owner.Tags(""))...)
	return o, nil
}

// find reads the association of the service account; there is at most one.
func (i *PodIdentity) find(ctx context.Context) error {
	i.live = nil
	list, err := i.api.ListPodIdentityAssociations(ctx, &eks.ListPodIdentityAssociationsInput{
		ClusterName: aws.String(i.cluster.Name()), Namespace: aws.String(i.namespace), ServiceAccount: aws.String(i.serviceAccount)})
	if cloud.IsAbsent(err) {
		return nil
	}
	if err != nil {
		return cloud.Wrap(i.ID(), "looking for the pod identity", err)
	}
	for _, a := range list.Associations {
		out, err := i.api.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{ClusterName: aws.String(i.cluster.Name()), AssociationId: a.AssociationId})
		if cloud.IsNotFound(err) {
			continue
		}
		if err != nil {
			return cloud.Wrap(i.ID(), "looking at the pod identity", err)
		}
		i.live = out.Association
	}
	return nil
}

// Apply implements engine.Resource.
func (i *PodIdentity) Apply(ctx context.Context, p engine.Progress) error {
	if err := i.find(ctx); err != nil {
		return err
	}
	if i.live == nil {
		if err := i.create(ctx); err != nil {
			return err
		}
		return i.find(ctx)
	}
	if missing := cloud.TagChanges(i.live.Tags, i.owner.Tags("")); len(missing) > 0 {
		if _, err := i.api.TagResource(ctx, &eks.TagResourceInput{ResourceArn: i.live.AssociationArn, Tags: missing}); err != nil {
			return cloud.Wrap(i.ID(), "setting the tags", err)
		}
	}
	if aws.ToString(i.live.RoleArn) == i.role.ARN() {
		return nil
	}
	p("changing the role")
	err := cloud.RetryWhile(ctx, propagationLimit, transientSetup, func(ctx context.Context) error {
		_, err := i.api.UpdatePodIdentityAssociation(ctx, &eks.UpdatePodIdentityAssociationInput{
			ClusterName: aws.String(i.cluster.Name()), AssociationId: i.live.AssociationId, RoleArn: aws.String(i.role.ARN())})
		return err
	})
	if err != nil {
		return cloud.Wrap(i.ID(), "changing the role", err)
	}
	return i.find(ctx)
}

// create makes the association. A service account has one at most, so that a
// repeated call finds "exists already"; the SDK's token covers its own retries.
func (i *PodIdentity) create(ctx context.Context) error {
	err := cloud.RetryWhile(ctx, propagationLimit, transientSetup, func(ctx context.Context) error {
		_, err := i.api.CreatePodIdentityAssociation(ctx, &eks.CreatePodIdentityAssociationInput{
			ClusterName: aws.String(i.cluster.Name()), Namespace: aws.String(i.namespace), ServiceAccount: aws.String(i.serviceAccount),
			RoleArn: aws.String(i.role.ARN()), Tags: i.owner.Tags("")})
		return err
	})
	if cloud.IsExists(err) {
		return nil
	}
	return cloud.Wrap(i.ID(), "giving the service account its role", err)
}

// Delete implements engine.Resource.
func (i *PodIdentity) Delete(ctx context.Context, p engine.Progress) error {
	if !i.cluster.Ready() {
		return nil
	}
	if err := i.find(ctx); err != nil || i.live == nil {
		return err
	}
	_, err := i.api.DeletePodIdentityAssociation(ctx, &eks.DeletePodIdentityAssociationInput{ClusterName: aws.String(i.cluster.Name()), AssociationId: i.live.AssociationId})
	if cloud.IsNotFound(err) {
		err = nil
	}
	if err == nil {
		i.live = nil
	}
	return cloud.Wrap(i.ID(), "removing the pod identity", err)
}
