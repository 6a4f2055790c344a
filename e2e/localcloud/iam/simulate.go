package iam

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// SimulatePrincipalPolicy tells which actions a principal may call, with the
// condition keys that the request gives. Of AWS's managed policies only
// AdministratorAccess is known. A user of this account is its administrator.
func (a api) SimulatePrincipalPolicy(_ context.Context, in *iam.SimulatePrincipalPolicyInput) (*iam.SimulatePrincipalPolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	documents, err := a.policiesOf(*in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	documents = append(documents, in.PolicyInputList...)
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	keys := Context{}
	for _, e := range in.ContextEntries {
		keys.Set(aws.ToString(e.ContextKeyName), e.ContextKeyValues...)
	}
	out := &iam.SimulatePrincipalPolicyOutput{EvaluationResults: []types.EvaluationResult{}}
	for _, action := range in.ActionNames {
		for _, resource := range resources {
			out.EvaluationResults = append(out.EvaluationResults, types.EvaluationResult{
				EvalActionName: aws.String(action), EvalResourceName: aws.String(resource), EvalDecision: decide(documents, Request{Action: action, Resource: resource, Context: keys}),
				MatchedStatements: []types.Statement{}, MissingContextValues: []string{},
			})
		}
	}
	return out, nil
}

// policiesOf collects the documents that apply to a principal.
func (s *Service) policiesOf(arn string) ([]string, error) {
	const everything = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	if strings.HasPrefix(arn, "arn:aws:iam::"+account+":user/") {
		return []string{everything}, nil
	}
	r := s.find(arn)
	if r == nil {
		return nil, noSuchEntity("The role with name %s cannot be found.", arn[strings.LastIndexByte(arn, '/')+1:])
	}
	var documents []string
	for _, name := range sortedKeys(r.inline) {
		documents = append(documents, r.inline[name])
	}
	for _, arn := range sortedKeys(r.managed) {
		if p := s.policies[arn]; p != nil {
			documents = append(documents, p.document)
		} else {
			documents = append(documents, managedDocument(arn))
		}
	}
	return documents, nil
}
