package addons

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Limits of the waits for one add-on. Its pods pull images and start in a
// minute or two; a Deployment without a place to run never does.
const (
	activeLimit      = 20 * time.Minute
	goneLimit        = 10 * time.Minute
	propagationLimit = 2 * time.Minute
)

// Apply implements engine.Resource.
func (a *EKSAddon) Apply(ctx context.Context, p engine.Progress) error {
	if err := a.describe(ctx); err != nil {
		return err
	}
	if err := a.loadVersions(ctx); err != nil {
		return err
	}
	if a.live != nil && (a.live.Status == types.AddonStatusDeleting || a.live.Status == types.AddonStatusCreateFailed || a.live.Status == types.AddonStatusDeleteFailed) {
		p("removing what an earlier run left (%s)", a.live.Status)
		if err := a.remove(ctx); err != nil {
			return err
		}
	}
	if a.live == nil {
		if err := a.create(ctx); err != nil {
			return err
		}
		return a.waitActive(ctx, p)
	}
	if a.live.Status == types.AddonStatusCreating || a.live.Status == types.AddonStatusUpdating {
		if err := a.waitActive(ctx, p); err != nil {
			return err
		}
	}
	if err := a.update(ctx, p); err != nil {
		return err
	}
	return a.waitActive(ctx, p)
}

// create installs the add-on. OVERWRITE takes over a self-managed copy. The SDK
// fills the ClientRequestToken anew for each call and keeps it over its own
// retries; over runs the add-on's name makes the call idempotent, which is why
// "exists already" is no error.
func (a *EKSAddon) create(ctx context.Context) error {
	in := &eks.CreateAddonInput{
		ClusterName:      aws.String(a.cluster.Name()),
		AddonName:        aws.String(a.spec.Name),
		ResolveConflicts: types.ResolveConflictsOverwrite,
		Tags:             a.owner.Tags(""),
	}
	if version := a.wantedVersion(); version != "" {
		in.AddonVersion = aws.String(version)
	}
	if len(a.configuration) > 0 {
		values, err := a.configurationJSON()
		if err != nil {
			return cloud.Wrap(a.ID(), "writing its configuration", err)
		}
		in.ConfigurationValues = aws.String(values)
	}
	in.PodIdentityAssociations = a.podIdentity()
	err := cloud.RetryWhile(ctx, propagationLimit, transientSetup, func(ctx context.Context) error {
		_, err := a.api.CreateAddon(ctx, in)
		return err
	})
	if cloud.IsExists(err) {
		err = nil
	}
	return cloud.Wrap(a.ID(), "installing the add-on", err)
}

// transientSetup knows the faults that pass by themselves while a cluster is young.
func transientSetup(err error) bool { return cloud.IsPropagation(err) || cloud.IsBusy(err) }

func (a *EKSAddon) wantedVersion() string {
	if a.spec.Version != "" {
		return a.spec.Version
	}
	return a.offered.byDefault
}

func (a *EKSAddon) podIdentity() []types.AddonPodIdentityAssociations {
	if a.spec.PodIdentity == nil {
		return nil
	}
	return []types.AddonPodIdentityAssociations{{
		ServiceAccount: aws.String(a.spec.PodIdentity.ServiceAccount),
		RoleArn:        aws.String(a.spec.PodIdentity.Role.ARN()),
	}}
}

// update sends what differs. PRESERVE keeps fields that someone set on the
// cluster by hand; EKS itself proposes it for changes of a running add-on. An
// add-on whose update failed, or that runs badly because something else owns
// its fields, is written anew with OVERWRITE.
func (a *EKSAddon) update(ctx context.Context, p engine.Progress) error {
	in := &eks.UpdateAddonInput{ClusterName: aws.String(a.cluster.Name()), AddonName: aws.String(a.spec.Name), ResolveConflicts: types.ResolveConflictsPreserve}
	send := false
	if c, differs := a.versionChange(); differs {
		in.AddonVersion, send = aws.String(c.Wanted.(string)), true
	}
	same, _, err := a.sameConfiguration()
	if err != nil {
		return err
	}
	if !same {
		values, err := a.configurationJSON()
		if err != nil {
			return cloud.Wrap(a.ID(), "writing its configuration", err)
		}
		in.ConfigurationValues, send = aws.String(values), true
	}
	if p := a.spec.PodIdentity; p != nil && a.roleARN != p.Role.ARN() {
		in.PodIdentityAssociations, send = a.podIdentity(), true
	}
	if a.live.Status == types.AddonStatusUpdateFailed || hasIssue(a.live.Health, types.AddonIssueCodeConfigurationConflict) {
		in.ResolveConflicts, send = types.ResolveConflictsOverwrite, true
	}
	if missing := cloud.TagChanges(a.live.Tags, a.owner.Tags("")); len(missing) > 0 {
		if _, err := a.api.TagResource(ctx, &eks.TagResourceInput{ResourceArn: a.live.AddonArn, Tags: missing}); err != nil {
			return cloud.Wrap(a.ID(), "setting the tags", err)
		}
	}
	if !send {
		return nil
	}
	p("updating")
	return a.sendUpdate(ctx, in)
}

// sendUpdate starts an update and waits until EKS says how it ended.
func (a *EKSAddon) sendUpdate(ctx context.Context, in *eks.UpdateAddonInput) error {
	var update *types.Update
	err := cloud.RetryWhile(ctx, activeLimit, transientSetup, func(ctx context.Context) error {
		out, err := a.api.UpdateAddon(ctx, in)
		if err == nil {
			update = out.Update
		}
		return err
	})
	if err != nil {
		return cloud.Wrap(a.ID(), "updating the add-on", err)
	}
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		out, err := a.api.DescribeUpdate(ctx, &eks.DescribeUpdateInput{Name: in.ClusterName, AddonName: in.AddonName, UpdateId: update.Id})
		if err != nil {
			return true, cloud.Wrap(a.ID(), "following the update", err)
		}
		switch out.Update.Status {
		case types.UpdateStatusSuccessful:
			return true, nil
		case types.UpdateStatusFailed, types.UpdateStatusCancelled:
			var words []string
			for _, e := range out.Update.Errors {
				words = append(words, string(e.ErrorCode)+": "+aws.ToString(e.ErrorMessage))
			}
			return true, cloud.Fail(a.ID(), "updating the add-on", "the update "+strings.ToLower(string(out.Update.Status))+": "+strings.Join(words, "; "),
				"look at the add-on's pods in kube-system, mend the cause and run up again")
		}
		return false, nil
	})
}

// waitActive waits until the add-on is ACTIVE, and reads its health meanwhile.
func (a *EKSAddon) waitActive(ctx context.Context, p engine.Progress) error {
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := a.describe(ctx); err != nil {
			return true, err
		}
		if a.live == nil {
			return true, cloud.Fail(a.ID(), "waiting for the add-on", "it has disappeared: something else deleted it", "run up again")
		}
		switch a.live.Status {
		case types.AddonStatusActive:
			return true, nil
		case types.AddonStatusCreateFailed, types.AddonStatusUpdateFailed, types.AddonStatusDeleting, types.AddonStatusDeleteFailed:
			return true, a.unhealthy()
		}
		if hopeless(a.live.Health) || time.Since(start) > activeLimit {
			return true, a.unhealthy()
		}
		if words := issueWords(a.live.Health); words != "" {
			p("%s: %s", strings.ToLower(string(a.live.Status)), words)
		} else {
			p("%s", strings.ToLower(string(a.live.Status)))
		}
		return false, nil
	})
}

// unhealthy is the error of an add-on that is not going to become ACTIVE.
func (a *EKSAddon) unhealthy() error {
	message := "it is " + string(a.live.Status)
	if words := issueWords(a.live.Health); words != "" {
		message += ": " + words
	}
	return cloud.Fail(a.ID(), "waiting for the add-on", message, a.healthHint())
}

func (a *EKSAddon) healthHint() string {
	switch {
	case hasIssue(a.live.Health, types.AddonIssueCodeInsufficientNumberOfReplicas):
		return "its pods find no place or do not start: it needs a node pool without taints; see `kubectl get pods -n kube-system`"
	case hasIssue(a.live.Health, types.AddonIssueCodeConfigurationConflict):
		return "something else owns these fields: run up again, which overwrites them"
	case hasIssue(a.live.Health, types.AddonIssueCodeAccessDenied), hasIssue(a.live.Health, types.AddonIssueCodeAddonPermissionFailure):
		return "EKS lacks permissions in the cluster or the add-on's role lacks them"
	}
	return "mend the cause and run up again: it repairs the add-on"
}

// hopeless tells that waiting does not help: the issue needs a person. A lack
// of replicas, an unreachable cluster or a fault inside EKS may pass.
func hopeless(h *types.AddonHealth) bool {
	for _, code := range []types.AddonIssueCode{types.AddonIssueCodeAccessDenied, types.AddonIssueCodeConfigurationConflict,
		types.AddonIssueCodeAdmissionRequestDenied, types.AddonIssueCodeUnsupportedAddonModification,
		types.AddonIssueCodeAddonSubscriptionNeeded, types.AddonIssueCodeAddonPermissionFailure} {
		if hasIssue(h, code) {
			return true
		}
	}
	return false
}

func hasIssue(h *types.AddonHealth, code types.AddonIssueCode) bool {
	return h != nil && slices.ContainsFunc(h.Issues, func(i types.AddonIssue) bool { return i.Code == code })
}

// issueWords joins what EKS says is wrong.
func issueWords(h *types.AddonHealth) string {
	if h == nil {
		return ""
	}
	var words []string
	for _, i := range h.Issues {
		words = append(words, string(i.Code)+": "+aws.ToString(i.Message))
	}
	return strings.Join(words, "; ")
}

// Delete implements engine.Resource. With an API server that does not answer EKS
// takes minutes to find that out for each add-on, which goes with the cluster.
func (a *EKSAddon) Delete(ctx context.Context, p engine.Progress) error {
	if !a.cluster.Ready() {
		return nil
	}
	if a.OutOfReach {
		return &engine.SkippedError{Cause: "reaching the API server of " + a.cluster.ID()}
	}
	p("removing")
	return a.remove(ctx)
}

// remove deletes the add-on and waits until it is gone. While EKS is busy with
// it, the call is refused and made again.
func (a *EKSAddon) remove(ctx context.Context) error {
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := a.describe(ctx); err != nil {
			return true, err
		}
		if a.live == nil {
			return true, nil
		}
		late := time.Since(start) > goneLimit
		if a.live.Status == types.AddonStatusDeleting && !late {
			return false, nil
		}
		if late || (a.live.Status == types.AddonStatusDeleteFailed && time.Since(start) > time.Minute) {
			return true, cloud.Fail(a.ID(), "removing the add-on", "it is "+string(a.live.Status)+": "+issueWords(a.live.Health),
				"it goes away with the cluster: run teardown again")
		}
		_, err := a.api.DeleteAddon(ctx, &eks.DeleteAddonInput{ClusterName: aws.String(a.cluster.Name()), AddonName: aws.String(a.spec.Name)})
		if err == nil || cloud.IsNotFound(err) || cloud.IsExists(err) || cloud.IsBusy(err) {
			return false, nil // look again; IsExists is ResourceInUse here: EKS is busy with it
		}
		return true, cloud.Wrap(a.ID(), "removing the add-on", err)
	})
}
