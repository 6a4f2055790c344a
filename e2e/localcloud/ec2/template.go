package ec2

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// template is a launch template with its versions by number; deleted numbers
// are never used again.
type template struct {
	id, name, createdBy string
	created             time.Time
	standard, latest    int64 // default and latest version
	versions            map[int64]*templateVersion
}

type templateVersion struct {
	number      int64
	description string
	createdBy   string
	created     time.Time
	data        types.ResponseLaunchTemplateData
}

func registerTemplates(w *wire.Server, a api) {
	handle(w, a.CreateLaunchTemplate)
	handle(w, a.CreateLaunchTemplateVersion)
	handle(w, a.DescribeLaunchTemplates)
	handle(w, a.DescribeLaunchTemplateVersions)
	handle(w, a.ModifyLaunchTemplate)
	handle(w, a.DeleteLaunchTemplate)
	handle(w, a.DeleteLaunchTemplateVersions)
}

func (t *template) output(r *region) types.LaunchTemplate {
	return types.LaunchTemplate{
		LaunchTemplateId: aws.String(t.id), LaunchTemplateName: aws.String(t.name), CreateTime: aws.Time(t.created), CreatedBy: aws.String(t.createdBy),
		DefaultVersionNumber: aws.Int64(t.standard), LatestVersionNumber: aws.Int64(t.latest), Tags: r.sdkTags(t.id),
	}
}

func (t *template) versionOutput(v *templateVersion) types.LaunchTemplateVersion {
	data := v.data
	out := types.LaunchTemplateVersion{
		LaunchTemplateId: aws.String(t.id), LaunchTemplateName: aws.String(t.name), VersionNumber: aws.Int64(v.number),
		DefaultVersion: aws.Bool(v.number == t.standard), CreateTime: aws.Time(v.created), CreatedBy: aws.String(v.createdBy), LaunchTemplateData: &data,
	}
	if v.description != "" {
		out.VersionDescription = aws.String(v.description)
	}
	return out
}

// findTemplate finds a template by id or name; exactly one must be given.
func (r *region) findTemplate(id, name *string) (*template, error) {
	switch {
	case id != nil && name != nil:
		return nil, fail("InvalidParameterCombination", "The parameters LaunchTemplateId and LaunchTemplateName cannot be used together. Specify only one of them.")
	case id != nil:
		return lookup(r.templates, kindTemplate, id)
	case name != nil:
		for id, t := range r.templates.all() {
			if _, ok := r.templates.seen(id); ok && t.name == *name {
				return t, nil
			}
		}
		return nil, fail("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", *name)
	}
	return nil, fail("MissingParameter", "The request must contain the parameter launchTemplateId or launchTemplateName")
}

// version finds a version by number, $Latest or $Default.
func (t *template) version(text string) (*templateVersion, error) {
	var n int64
	switch text {
	case "$Latest":
		n = t.latest
	case "", "$Default":
		n = t.standard
	default:
		var err error
		if n, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, fail("InvalidLaunchTemplateId.VersionNotFound", "The launch template version %s is not valid for the specified launch template.", text)
		}
	}
	v := t.versions[n]
	if v == nil {
		return nil, fail("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", text, t.id)
	}
	return v, nil
}

// templateData checks a template's data and turns it into the form in which it
// is read: the SDK's two types have the same members.
func templateData(in *types.RequestLaunchTemplateData) (types.ResponseLaunchTemplateData, error) {
	var data types.ResponseLaunchTemplateData
	if in.UserData != nil {
		if err := checkUserData(*in.UserData); err != nil {
			return data, err
		}
	}
	if len(in.NetworkInterfaces) > 0 && len(in.SecurityGroupIds)+len(in.SecurityGroups) > 0 {
		return data, fail("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	if len(in.SecurityGroupIds) > 0 && len(in.SecurityGroups) > 0 {
		return data, fail("InvalidParameterCombination", "The parameters SecurityGroupIds and SecurityGroups cannot be used together.")
	}
	if in.InstanceRequirements != nil && in.InstanceType != "" {
		return data, fail("InvalidParameterCombination", "InstanceType and InstanceRequirements cannot be used together.")
	}
	if p := in.IamInstanceProfile; p != nil && p.Arn != nil && p.Name != nil {
		return data, fail("InvalidParameterCombination", "'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'")
	}
	for _, spec := range in.TagSpecifications {
		if !slices.Contains(templateTagged(), spec.ResourceType) {
			return data, invalidValue("'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		if _, err := checkTags(spec.Tags, nil); err != nil {
			return data, err
		}
	}
	text, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(text, &data)
	}
	if err != nil {
		return data, fmt.Errorf("ec2: launch template data: %w", err)
	}
	return data, nil
}

// templateTagged are what a template's instances may bring with them, tagged
// (RequestLaunchTemplateData, "TagSpecifications").
func templateTagged() []types.ResourceType {
	return []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface, types.ResourceTypeSpotInstancesRequest, types.ResourceTypeElasticGpu}
}

// checkUserData: base64, and no more than 16 KB when decoded.
func checkUserData(text string) error {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fail("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	}
	if len(raw) > 16384 {
		return invalidValue("User data is limited to 16384 bytes")
	}
	return nil
}

// Limits of the page "Restrictions for Amazon EC2 launch templates". It gives no
// error codes; these two are a guess.
const (
	maxTemplates = 5000
	maxVersions  = 10000
)

var templateName = regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`)

func (r *region) addTemplate(name, createdBy, description string, in *types.RequestLaunchTemplateData) (*template, error) {
	if !templateName.MatchString(name) {
		return nil, fail("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
	}
	for _, t := range r.templates.all() {
		if t.name == name {
			return nil, fail("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
	}
	if len(r.templates.order) >= maxTemplates {
		return nil, fail("LaunchTemplateLimitExceeded", "The maximum number of launch templates (%d) has been reached.", maxTemplates)
	}
	data, err := templateData(in)
	if err != nil {
		return nil, err
	}
	t := &template{id: newID("lt"), name: name, createdBy: createdBy, created: now(), standard: 1, latest: 1}
	t.versions = map[int64]*templateVersion{1: {number: 1, description: description, createdBy: createdBy, created: t.created, data: data}}
	r.templates.add(t.id, t)
	return t, nil
}

// CreateLaunchTemplate makes a template with version 1.
func (a api) CreateLaunchTemplate(ctx context.Context, in *ec2.CreateLaunchTemplateInput) (*ec2.CreateLaunchTemplateOutput, error) {
	tags, err := tagsFor(types.ResourceTypeLaunchTemplate, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	id, remember, err := r.repeated("CreateLaunchTemplate", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	t, ok, err := again(r.templates, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		t, err = r.addTemplate(aws.ToString(in.LaunchTemplateName), wire.CallerOf(ctx).ARN, aws.ToString(in.VersionDescription), in.LaunchTemplateData)
		if err != nil {
			return nil, err
		}
		r.tags[t.id] = tags
		remember(t.id)
	}
	out := t.output(r)
	return &ec2.CreateLaunchTemplateOutput{LaunchTemplate: &out}, nil
}

// CreateLaunchTemplateVersion adds a version; with a source version, what the
// request leaves out is taken from there.
func (a api) CreateLaunchTemplateVersion(ctx context.Context, in *ec2.CreateLaunchTemplateVersionInput) (*ec2.CreateLaunchTemplateVersionOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := r.findTemplate(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	id, remember, err := r.repeated("CreateLaunchTemplateVersion", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if id != "" {
		v, err := t.version(id)
		if err != nil {
			return nil, errTokenSpent()
		}
		out := t.versionOutput(v)
		return &ec2.CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: &out}, nil
	}
	if len(t.versions) >= maxVersions {
		return nil, fail("VersionLimitExceeded", "The maximum number of versions (%d) of launch template %s has been reached.", maxVersions, t.id)
	}
	data, err := templateData(in.LaunchTemplateData)
	if err != nil {
		return nil, err
	}
	if in.SourceVersion != nil {
		source, err := t.version(*in.SourceVersion)
		if err != nil {
			return nil, err
		}
		if data, err = overlay(source.data, in.LaunchTemplateData); err != nil {
			return nil, err
		}
	}
	t.latest++
	v := &templateVersion{number: t.latest, description: aws.ToString(in.VersionDescription), createdBy: wire.CallerOf(ctx).ARN, created: now(), data: data}
	t.versions[v.number] = v
	remember(strconv.FormatInt(v.number, 10))
	out := t.versionOutput(v)
	return &ec2.CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: &out}, nil
}

// overlay puts the members that the request has over a version's data, each as a whole.
func overlay(base types.ResponseLaunchTemplateData, in *types.RequestLaunchTemplateData) (types.ResponseLaunchTemplateData, error) {
	var merged types.ResponseLaunchTemplateData
	members, err := toMap(base)
	if err != nil {
		return merged, err
	}
	given, err := toMap(in)
	if err != nil {
		return merged, err
	}
	for name, v := range given {
		if v != nil && v != "" {
			members[name] = v
		}
	}
	text, err := json.Marshal(members)
	if err == nil {
		err = json.Unmarshal(text, &merged)
	}
	return merged, err
}

func toMap(v any) (m map[string]any, err error) {
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// DescribeLaunchTemplates lists templates, by id, by name or all.
func (a api) DescribeLaunchTemplates(ctx context.Context, in *ec2.DescribeLaunchTemplatesInput) (*ec2.DescribeLaunchTemplatesOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.templates, kindTemplate, in.LaunchTemplateIds); err != nil {
		return nil, err
	}
	ids := slices.Clone(in.LaunchTemplateIds)
	for _, name := range in.LaunchTemplateNames {
		t, err := r.findTemplate(nil, &name)
		if err != nil {
			return nil, fail("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
		}
		ids = append(ids, t.id)
	}
	var all []types.LaunchTemplate
	for _, t := range r.templates.shown() {
		all = append(all, t.output(r))
	}
	kept, err := describe(all, ids, func(t types.LaunchTemplate) *string { return t.LaunchTemplateId }, in.Filters, filters[types.LaunchTemplate]{
		"create-time":          func(t types.LaunchTemplate) []string { return stamp(t.CreateTime) },
		"launch-template-name": func(t types.LaunchTemplate) []string { return one(t.LaunchTemplateName) },
	}, func(t types.LaunchTemplate) []types.Tag { return t.Tags })
	return &ec2.DescribeLaunchTemplatesOutput{LaunchTemplates: kept}, err
}

// DescribeLaunchTemplateVersions lists a template's versions, the newest first;
// without a template, the latest or default ones of all templates.
func (a api) DescribeLaunchTemplateVersions(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	var all []types.LaunchTemplateVersion
	if in.LaunchTemplateId == nil && in.LaunchTemplateName == nil {
		if len(in.Versions) == 0 || slices.ContainsFunc(in.Versions, func(v string) bool { return !strings.HasPrefix(v, "$") }) {
			return nil, fail("MissingParameter", "When you do not specify a launch template ID or name, you must specify '$Latest', '$Default', or both")
		}
		for _, t := range r.templates.shown() {
			for _, text := range in.Versions {
				if v, err := t.version(text); err == nil {
					all = append(all, t.versionOutput(v))
				}
			}
		}
	} else {
		t, err := r.findTemplate(in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		list, err := t.selected(in.Versions, in.MinVersion, in.MaxVersion)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			all = append(all, t.versionOutput(v))
		}
	}
	kept, err := describe(all, nil, func(v types.LaunchTemplateVersion) *string { return v.LaunchTemplateId }, in.Filters, filters[types.LaunchTemplateVersion]{
		"create-time": func(v types.LaunchTemplateVersion) []string { return stamp(v.CreateTime) },
		"image-id":    func(v types.LaunchTemplateVersion) []string { return one(v.LaunchTemplateData.ImageId) },
		"instance-type": func(v types.LaunchTemplateVersion) []string {
			return []string{string(v.LaunchTemplateData.InstanceType)}
		},
		"is-default-version": func(v types.LaunchTemplateVersion) []string { return yes(v.DefaultVersion) },
		"ebs-optimized":      func(v types.LaunchTemplateVersion) []string { return yes(v.LaunchTemplateData.EbsOptimized) },
	}, nil)
	return &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: kept}, err
}

func (t *template) selected(versions []string, minimum, maximum *string) ([]*templateVersion, error) {
	if len(versions) > 0 {
		var list []*templateVersion
		for _, text := range versions {
			v, err := t.version(text)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
		return list, nil
	}
	low, high := int64(1), t.latest
	if minimum != nil {
		low, _ = strconv.ParseInt(*minimum, 10, 64)
	}
	if maximum != nil {
		high, _ = strconv.ParseInt(*maximum, 10, 64)
	}
	var list []*templateVersion
	for n := high; n >= low; n-- {
		if v := t.versions[n]; v != nil {
			list = append(list, v)
		}
	}
	return list, nil
}

// ModifyLaunchTemplate sets the default version.
func (a api) ModifyLaunchTemplate(ctx context.Context, in *ec2.ModifyLaunchTemplateInput) (*ec2.ModifyLaunchTemplateOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := r.findTemplate(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if in.DefaultVersion == nil {
		return nil, fail("MissingParameter", "The request must contain the parameter defaultVersion")
	}
	v, err := t.version(*in.DefaultVersion)
	if err != nil {
		return nil, err
	}
	_ = in.ClientToken // the same request again changes nothing
	t.standard = v.number
	out := t.output(r)
	return &ec2.ModifyLaunchTemplateOutput{LaunchTemplate: &out}, nil
}

// DeleteLaunchTemplate deletes a template with all its versions, whether or not
// instances and groups were made with it.
func (a api) DeleteLaunchTemplate(ctx context.Context, in *ec2.DeleteLaunchTemplateInput) (*ec2.DeleteLaunchTemplateOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := r.findTemplate(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	out := t.output(r)
	r.templates.remove(t.id)
	r.forget(t.id)
	return &ec2.DeleteLaunchTemplateOutput{LaunchTemplate: &out}, nil
}

// DeleteLaunchTemplateVersions deletes versions but the default one, and reports on each.
func (a api) DeleteLaunchTemplateVersions(ctx context.Context, in *ec2.DeleteLaunchTemplateVersionsInput) (*ec2.DeleteLaunchTemplateVersionsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := r.findTemplate(in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	out := &ec2.DeleteLaunchTemplateVersionsOutput{}
	for _, text := range in.Versions {
		n, _ := strconv.ParseInt(text, 10, 64)
		code, message := types.LaunchTemplateErrorCode(""), ""
		switch {
		case t.versions[n] == nil:
			code, message = types.LaunchTemplateErrorCodeLaunchTemplateVersionDoesNotExist, "Could not find the specified version "+text+" for the launch template with ID "+t.id+"."
		case n == t.standard:
			code, message = types.LaunchTemplateErrorCodeUnexpectedError, "The default version of a launch template cannot be deleted."
		}
		if code != "" {
			out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions, types.DeleteLaunchTemplateVersionsResponseErrorItem{
				LaunchTemplateId: aws.String(t.id), LaunchTemplateName: aws.String(t.name), VersionNumber: aws.Int64(n),
				ResponseError: &types.ResponseError{Code: code, Message: aws.String(message)},
			})
			continue
		}
		delete(t.versions, n)
		out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions, types.DeleteLaunchTemplateVersionsResponseSuccessItem{
			LaunchTemplateId: aws.String(t.id), LaunchTemplateName: aws.String(t.name), VersionNumber: aws.Int64(n),
		})
	}
	return out, nil
}
