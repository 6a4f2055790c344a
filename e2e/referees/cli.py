"""The aws CLI reads what boto3 reads, and both have to say the same."""

import concurrent.futures
import datetime
import json
import pathlib
import subprocess
import sys

# Command, and where in its reply the items are. {…} is filled in by main.
COMMANDS = [
    "ec2 describe-vpcs", "ec2 describe-subnets", "ec2 describe-internet-gateways", "ec2 describe-nat-gateways", "ec2 describe-addresses",
    "ec2 describe-route-tables", "ec2 describe-vpc-endpoints", "ec2 describe-security-groups", "ec2 describe-security-group-rules",
    "ec2 describe-network-interfaces", "ec2 describe-network-acls", "ec2 describe-dhcp-options", "ec2 describe-launch-templates", "ec2 describe-instances",
    "ec2 describe-instance-status", "ec2 describe-volumes", "ec2 describe-tags", "ec2 describe-capacity-reservations", "ec2 describe-placement-groups",
    "ec2 describe-availability-zones", "ec2 describe-instance-type-offerings", "ec2 describe-prefix-lists",
    "eks list-clusters", "eks describe-cluster --name referees", "eks list-nodegroups --cluster-name referees",
    "eks describe-nodegroup --cluster-name referees --nodegroup-name spot", "eks list-addons --cluster-name referees",
    "eks describe-addon --cluster-name referees --addon-name vpc-cni", "eks list-access-entries --cluster-name referees",
    "eks list-pod-identity-associations --cluster-name referees", "eks list-updates --name referees", "eks describe-cluster-versions",
    "autoscaling describe-auto-scaling-groups", "autoscaling describe-auto-scaling-instances", "autoscaling describe-scaling-activities", "autoscaling describe-tags",
    "elb describe-load-balancers", "elbv2 describe-load-balancers", "elbv2 describe-target-groups",
    "iam list-roles", "iam list-instance-profiles", "iam list-policies --scope Local", "iam list-open-id-connect-providers",
    "iam list-attached-role-policies --role-name referees-us-west-2-nodes",
    "logs describe-log-groups", "sts get-caller-identity", "service-quotas list-service-quotas --service-code ec2",
    "s3api list-buckets", "s3api list-objects-v2 --bucket referees-models", "s3api list-object-versions --bucket referees-models",
    "s3api get-bucket-tagging --bucket referees-models", "s3api get-bucket-encryption --bucket referees-models",
    "s3api get-public-access-block --bucket referees-models", "s3api get-bucket-versioning --bucket referees-models",
]

SERVICES = {"s3api": "s3", "service-quotas": "servicequotas"}


def read(witness, environment):
    """Runs all commands and returns how many there are."""
    aws = pathlib.Path(sys.executable).parent / "aws"
    environment = environment | {"AWS_REGION": witness.session.region_name, "AWS_DEFAULT_REGION": witness.session.region_name, "AWS_MAX_ATTEMPTS": "1"}

    def run(command):
        return subprocess.run([aws, *command.split(), "--output", "json"], env=environment, capture_output=True, text=True)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for command, done in zip(COMMANDS, pool.map(run, COMMANDS)):
            if done.returncode or done.stderr:
                witness.disagree(f"aws {command}", f"exit code {done.returncode}: {done.stderr.strip()}")
                continue
            witness.reads(f"aws {command}", lambda: compare(witness, command, json.loads(done.stdout or "{}")))
    return len(COMMANDS)


def compare(witness, command, got):
    service, operation, *options = command.split()
    client = witness.client(SERVICES.get(service, service))
    method = operation.replace("-", "_")
    input_shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    by_option = {"--" + dashed(m): m for m in input_shape.members} if input_shape else {}
    params = {by_option[o]: v for o, v in zip(options[::2], options[1::2])}
    if client.can_paginate(method):
        want = client.get_paginator(method).paginate(**params).build_full_result()
    else:
        want = getattr(client, method)(**params)
    want.pop("ResponseMetadata", None)
    for volatile in ("NextToken", "nextToken", "RequestCharged", "MaxKeys", "EncodingType", "IsTruncated", "KeyCount", "Prefix", "Name", "KeyMarker", "VersionIdMarker"):
        want.pop(volatile, None)
        got.pop(volatile, None)
    witness.expect(f"aws {command}", plain(want), plain(got))


def dashed(member):
    """An option's name, as the CLI makes it of a member's."""
    out = ""
    for c in member:
        out += "-" + c.lower() if c.isupper() and out else c.lower()
    return out


def plain(value):
    """A value in which times are comparable and the order of a list does not matter."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((plain(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    if isinstance(value, datetime.datetime):
        return round(value.timestamp(), 3)
    if isinstance(value, str) and len(value) > 18 and value[4] == "-" and "T" in value:
        try:
            return round(datetime.datetime.fromisoformat(value).timestamp(), 3)
        except ValueError:
            return value
    return value
