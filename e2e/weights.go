package e2e

import (
	"context"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// cmdReads asks IAM whether a role may list a model and read its files: "reads ROLE
// BUCKET MODEL". With "!" it must be refused both.
func cmdReads(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: reads ROLE BUCKET MODEL")
	}
	api, bucket := iam.NewFromConfig(of(ts).config("us-east-1")), "arn:aws:s3:::"+args[1]
	for action, resource := range map[string]string{"s3:ListBucket": bucket, "s3:GetObject": bucket + "/" + args[2] + "/model-1.safetensors"} {
		out, err := api.SimulatePrincipalPolicy(context.Background(), &iam.SimulatePrincipalPolicyInput{
			PolicySourceArn: aws.String("arn:aws:iam::" + account + ":role/" + args[0]), ActionNames: []string{action}, ResourceArns: []string{resource},
			ContextEntries: []types.ContextEntry{{ContextKeyName: aws.String("s3:prefix"), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{args[2] + "/"}}},
		})
		ts.Check(err)
		if allowed := out.EvaluationResults[0].EvalDecision == types.PolicyEvaluationDecisionTypeAllowed; allowed == neg {
			ts.Fatalf("%s on %s: %s", action, resource, out.EvaluationResults[0].EvalDecision)
		}
	}
}

// cmdMisread lets a service's role read another model than its own: "misread ROLE
// BUCKET MODEL".
func cmdMisread(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: misread ROLE BUCKET MODEL")
	}
	_, err := iam.NewFromConfig(of(ts).config("us-east-1")).PutRolePolicy(context.Background(), &iam.PutRolePolicyInput{
		RoleName: &args[0], PolicyName: aws.String("model"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::` + args[1] + `","Condition":{"StringLike":{"s3:prefix":"` + args[2] + `/*"}}},
			{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + args[1] + `/` + args[2] + `/*"}]}`)})
	ts.Check(err)
}

// crashLimit bounds the wait for a container to fail.
const crashLimit = time.Minute

// cmdCrashes starts a service's pods anew and waits until a container of one ends
// again and again, with words like these in its status: "crashes SERVICE WORDS".
func cmdCrashes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: crashes SERVICE WORDS")
	}
	words, err := regexp.Compile(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), crashLimit)
	defer cancel()
	pods := kubernetesOf(ts).CoreV1().Pods("ai-serving")
	of := metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=vllm,app.kubernetes.io/instance=" + args[0]}
	ts.Check(pods.DeleteCollection(ctx, metav1.DeleteOptions{}, of))
	last := ""
	for {
		list, err := pods.List(ctx, of)
		if err == nil {
			for _, pod := range list.Items {
				for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
					if t := s.LastTerminationState.Terminated; t != nil && s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff" {
						if last = t.Message; words.MatchString(last) {
							return
						}
					}
				}
			}
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("no container of %s fails with %q; last: %q %v", args[0], args[1], last, err)
		case <-time.After(volumePoll):
		}
	}
}

// cmdMountFails starts a service's pods anew and waits until one cannot mount its
// volume, with words like these in an event: "mountfails SERVICE WORDS".
func cmdMountFails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mountfails SERVICE WORDS")
	}
	words, err := regexp.Compile(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), crashLimit)
	defer cancel()
	core := kubernetesOf(ts).CoreV1()
	ts.Check(core.Pods("ai-serving").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=vllm,app.kubernetes.io/instance=" + args[0]}))
	for {
		events, err := core.Events("ai-serving").List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedMount,type=" + corev1.EventTypeWarning})
		if err == nil {
			for _, e := range events.Items {
				if words.MatchString(e.Message) {
					return
				}
			}
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("no pod of %s fails to mount with %q %v", args[0], args[1], err)
		case <-time.After(volumePoll):
		}
	}
}
