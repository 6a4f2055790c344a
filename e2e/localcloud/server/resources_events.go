package server

import (
	"fmt"
	"strings"

	"aicluster/e2e/localcloud/wire"
)

// sqsNeeds is about a queue, which calls name by its URL or its name. Tags of a
// new one are a permission of their own (SQS developer guide, "Amazon SQS cost
// allocation tags").
func sqsNeeds(call wire.Call, action string) []need {
	name := stringMember(call.Input, "QueueName")
	if url := stringMember(call.Input, "QueueUrl"); url != "" {
		name = url[strings.LastIndexByte(url, '/')+1:]
	}
	resource := "*"
	if name != "" {
		resource = fmt.Sprintf("arn:aws:sqs:%s:%s:%s", call.Region, wire.AccountID, name)
	}
	keys := tagKeys(call.Input)
	return append(needs(action, keys, resource), tagging("sqs:TagQueue", call, keys, []string{resource})...)
}

// eventsNeeds is about a rule. Tags count in the call that makes it.
func eventsNeeds(call wire.Call, action string) []need {
	resource := stringMember(call.Input, "ResourceARN")
	if resource == "" {
		name := stringMember(call.Input, "Name") + stringMember(call.Input, "Rule")
		resource = fmt.Sprintf("arn:aws:events:%s:%s:rule/%s", call.Region, wire.AccountID, name)
		if name == "" {
			resource = "*"
		}
	}
	keys := tagKeys(call.Input)
	list := needs(action, keys, resource)
	if call.Operation == "PutRule" && len(requestTags(call.Input)) > 0 {
		list = append(list, needs("events:TagResource", keys, resource)...)
	}
	return list
}
