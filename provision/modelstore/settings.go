package modelstore

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// setting is one thing that a bucket is to have. compare returns nothing when it
// has it; set is called after it did not. A change without a field is the
// setting's as a whole.
type setting struct {
	name    string
	compare func(context.Context) ([]engine.Change, error)
	set     func(context.Context) error
}

// publicAccess blocks every way of making the bucket public.
func (b *Bucket) publicAccess() setting {
	on := aws.Bool(true)
	all := types.PublicAccessBlockConfiguration{BlockPublicAcls: on, BlockPublicPolicy: on, IgnorePublicAcls: on, RestrictPublicBuckets: on}
	return setting{"public access block",
		func(ctx context.Context) ([]engine.Change, error) {
			out, err := b.api.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: aws.String(b.name)})
			if err != nil && !absent(err) {
				return nil, err
			}
			if err == nil && reflect.DeepEqual(*out.PublicAccessBlockConfiguration, all) {
				return nil, nil
			}
			return []engine.Change{{Live: "partly or not blocked", Wanted: "all blocked"}}, nil
		},
		func(ctx context.Context) error {
			_, err := b.api.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: aws.String(b.name), PublicAccessBlockConfiguration: &all})
			return err
		}}
}

// ownership switches access control lists off.
func (b *Bucket) ownership() setting {
	wanted := types.ObjectOwnershipBucketOwnerEnforced
	return setting{"object ownership",
		func(ctx context.Context) ([]engine.Change, error) {
			out, err := b.api.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: aws.String(b.name)})
			if err != nil && !absent(err) {
				return nil, err
			}
			if err == nil && len(out.OwnershipControls.Rules) == 1 && out.OwnershipControls.Rules[0].ObjectOwnership == wanted {
				return nil, nil
			}
			return []engine.Change{{Wanted: string(wanted)}}, nil
		},
		func(ctx context.Context) error {
			_, err := b.api.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{Bucket: aws.String(b.name),
				OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: wanted}}}})
			return err
		}}
}

// tlsStatementID marks our statement among others of the bucket's policy.
const tlsStatementID = "AiclusterDenyInsecureTransport"

// tlsOnly refuses requests without TLS (S3 user guide, "Security best
// practices": aws:SecureTransport). Other statements of the policy stay.
func (b *Bucket) tlsOnly() setting {
	statement := map[string]any{
		"Sid": tlsStatementID, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
		"Resource":  []any{b.ARN(), b.ARN() + "/*"},
		"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
	}
	return setting{"TLS-only policy",
		func(ctx context.Context) ([]engine.Change, error) {
			policy, err := b.policy(ctx)
			if err != nil {
				return nil, err
			}
			for _, s := range policy.statements() {
				if reflect.DeepEqual(s, statement) {
					return nil, nil
				}
			}
			return []engine.Change{{Wanted: "requests without TLS are denied"}}, nil
		},
		func(ctx context.Context) error {
			policy, err := b.policy(ctx)
			if err != nil {
				return err
			}
			text, err := policy.with(statement)
			if err != nil {
				return err
			}
			_, err = b.api.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String(b.name), Policy: aws.String(text)})
			return err
		}}
}

// policyDocument is a bucket policy as JSON has it.
type policyDocument map[string]any

func (b *Bucket) policy(ctx context.Context) (policyDocument, error) {
	out, err := b.api.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String(b.name)})
	if absent(err) {
		return policyDocument{"Version": "2012-10-17"}, nil
	}
	if err != nil {
		return nil, err
	}
	var d policyDocument
	return d, json.Unmarshal([]byte(aws.ToString(out.Policy)), &d)
}

// statements lists the statements; a policy may hold one without a list.
func (d policyDocument) statements() []any {
	switch s := d["Statement"].(type) {
	case []any:
		return s
	case map[string]any:
		return []any{s}
	}
	return nil
}

// with returns the policy with statement in place of an earlier one of ours.
func (d policyDocument) with(statement map[string]any) (string, error) {
	others := slices.DeleteFunc(slices.Clone(d.statements()), func(s any) bool {
		m, ok := s.(map[string]any)
		return ok && m["Sid"] == statement["Sid"]
	})
	out := maps.Clone(d)
	out["Statement"] = append(others, statement)
	text, err := json.Marshal(out)
	return string(text), err
}

// Parts of an upload that was cut off cost money and are seen by no listing.
const (
	lifecycleRuleID = "aicluster-abort-incomplete-uploads"
	abortAfterDays  = 7
)

// lifecycle removes parts of uploads that were never completed. Other rules stay.
func (b *Bucket) lifecycle() setting {
	rule := types.LifecycleRule{
		ID: aws.String(lifecycleRuleID), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
		AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(abortAfterDays)},
	}
	return setting{"lifecycle",
		func(ctx context.Context) ([]engine.Change, error) {
			rules, err := b.lifecycleRules(ctx)
			if err != nil || slices.ContainsFunc(rules, abortsUploads) {
				return nil, err
			}
			return []engine.Change{{Wanted: "incomplete uploads are removed after 7 days"}}, nil
		},
		func(ctx context.Context) error {
			rules, err := b.lifecycleRules(ctx)
			if err != nil {
				return err
			}
			rules = slices.DeleteFunc(rules, func(r types.LifecycleRule) bool { return aws.ToString(r.ID) == lifecycleRuleID })
			_, err = b.api.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: aws.String(b.name),
				LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: append(rules, rule)}})
			return err
		}}
}

func (b *Bucket) lifecycleRules(ctx context.Context) ([]types.LifecycleRule, error) {
	out, err := b.api.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: aws.String(b.name)})
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.Rules, nil
}

// abortsUploads tells that a rule does what ours does, on the whole bucket.
func abortsUploads(r types.LifecycleRule) bool {
	whole := r.Filter == nil || (aws.ToString(r.Filter.Prefix) == "" && r.Filter.Tag == nil && r.Filter.And == nil &&
		r.Filter.ObjectSizeGreaterThan == nil && r.Filter.ObjectSizeLessThan == nil)
	a := r.AbortIncompleteMultipartUpload
	return whole && r.Status == types.ExpirationStatusEnabled && a != nil && aws.ToInt32(a.DaysAfterInitiation) <= abortAfterDays
}

// tags wants the owner's tags. They are in the create call; this mends them.
func (b *Bucket) tags() setting {
	return setting{"tags",
		func(ctx context.Context) ([]engine.Change, error) {
			live, err := b.liveTags(ctx)
			if err != nil {
				return nil, err
			}
			return engine.TagChanges(live, b.owner.Tags("")), nil
		},
		func(ctx context.Context) error {
			all, err := b.liveTags(ctx) // the call replaces every tag
			if err != nil {
				return err
			}
			if all == nil {
				all = map[string]string{}
			}
			maps.Copy(all, b.owner.Tags(""))
			_, err = b.api.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: aws.String(b.name), Tagging: &types.Tagging{TagSet: s3Tags(all)}})
			return err
		}}
}

// absent tells that a bucket has no such setting.
func absent(err error) bool { return err != nil && (cloud.IsNotFound(err) || isMissing(err)) }

func s3Tags(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}
