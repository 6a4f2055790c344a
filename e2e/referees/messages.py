"""Reads the queues of SQS and the rules of EventBridge."""

import json

from witness import tags


class Queues:
    NAME = "sqs"

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("sqs")
        self.held = [line.split(" ")[2] for line in inventory["sqs"]]

    def read(self):
        return self.w.reads("sqs", self.queues)

    def queues(self):
        w, api = self.w, self.api
        urls = w.pages("sqs", "list_queues", "QueueUrls")
        w.expect("sqs queues", sorted(self.held), sorted(u.rsplit("/", 1)[1] for u in urls))
        w.expect("sqs queues, in pages", urls, w.pages("sqs", "list_queues", "QueueUrls", 1))
        for url in urls:
            name = url.rsplit("/", 1)[1]
            w.expect(f"sqs {name}, url", url, api.get_queue_url(QueueName=name)["QueueUrl"])
            everything = api.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            w.expect(f"sqs {name}, arn", True, everything["QueueArn"].endswith(":" + name))
            for key, value in everything.items():
                w.expect(f"sqs {name}, {key}", {key: value}, api.get_queue_attributes(QueueUrl=url, AttributeNames=[key])["Attributes"])
            w.expect(f"sqs {name}, tags", {"Name": "referees-guest"}, api.list_queue_tags(QueueUrl=url).get("Tags"))
        w.fails("sqs", "get_queue_url", "AWS.SimpleQueueService.NonExistentQueue", QueueName="no-such")
        return len(urls)

    def gone(self, held):
        for name in held:
            self.w.fails("sqs", "get_queue_url", "AWS.SimpleQueueService.NonExistentQueue", QueueName=name)


class Rules:
    NAME = "events"

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("events")
        self.held = [line.split(" ")[2] for line in inventory["events"]]

    def read(self):
        return self.w.reads("events", self.rules)

    def rules(self):
        w, api = self.w, self.api
        found = api.list_rules()["Rules"]
        w.expect("events rules", sorted(self.held), [r["Name"] for r in found])
        for r in found:
            one = api.describe_rule(Name=r["Name"])
            w.expect(f"events {r['Name']}", r, {k: v for k, v in one.items() if k in r})
            w.expect(f"events {r['Name']}, pattern", True, isinstance(json.loads(one["EventPattern"]), dict))
            w.expect(f"events {r['Name']}, by prefix", [r], api.list_rules(NamePrefix=r["Name"])["Rules"])
            targets = api.list_targets_by_rule(Rule=r["Name"])["Targets"]
            w.expect(f"events {r['Name']}, targets", True, bool(targets))
            w.expect(f"events {r['Name']}, tags", {"Name": "referees-guest"}, tags(api.list_tags_for_resource(ResourceARN=r["Arn"])["Tags"]))
        w.fails("events", "describe_rule", "ResourceNotFoundException", Name="no-such")
        return len(found)

    def gone(self, held):
        for name in held:
            self.w.fails("events", "describe_rule", "ResourceNotFoundException", Name=name)
