"""What the referees make themselves, so that kinds that aicluster does not make are read as well."""

import time

import botocore.exceptions

TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}'
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}]}'
TAGS = [{"Key": "Name", "Value": "referees-guest"}]


# EC2 is eventually consistent: what was just made is not seen for a while.
PATIENCE = 30  # seconds


def settled(call, **params):
    """Calls until what the call names is seen."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call(**params)
        except botocore.exceptions.ClientError as error:
            if not error.response["Error"]["Code"].endswith("NotFound") or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def until(done):
    """Waits for what AWS does later."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("AWS did not finish")
        time.sleep(0.05)


def make(witness, region):
    """Makes the guests, before the cluster is there, and returns how to remove them."""
    ec2, efs, iam, logs, sqs, events = (witness.client(service) for service in ("ec2", "efs", "iam", "logs", "sqs", "events"))
    undo = []

    def spec(kind):
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": TAGS}]}

    role = "referees-guest-operators"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST, Tags=TAGS, Description="reads the account", Path="/")
    iam.put_role_policy(RoleName=role, PolicyName="read", PolicyDocument=POLICY)
    policy = iam.create_policy(PolicyName="referees-guest", PolicyDocument=POLICY, Tags=TAGS)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    provider = iam.create_open_id_connect_provider(Url="https://oidc.example.com/referees", ClientIDList=["sts.amazonaws.com"], Tags=TAGS)["OpenIDConnectProviderArn"]
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16", **spec("vpc"))["Vpc"]["VpcId"]
    subnet = settled(ec2.create_subnet, VpcId=vpc, CidrBlock="10.99.0.0/24", AvailabilityZone=region + "a", **spec("subnet"))["Subnet"]["SubnetId"]
    group = settled(ec2.create_security_group, GroupName="guest", Description="of the referees", VpcId=vpc, **spec("security-group"))["GroupId"]
    settled(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}]},
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}])
    interface = settled(ec2.create_network_interface, SubnetId=subnet, Groups=[group], Description="guest", **spec("network-interface"))["NetworkInterface"]["NetworkInterfaceId"]
    volume = ec2.create_volume(AvailabilityZone=region + "a", Size=10, VolumeType="gp3", **spec("volume"))["VolumeId"]
    reservation = ec2.create_capacity_reservation(InstanceType="m6i.large", InstancePlatform="Linux/UNIX", AvailabilityZone=region + "a", InstanceCount=1,
                                                  **spec("capacity-reservation"))["CapacityReservation"]["CapacityReservationId"]
    ec2.create_placement_group(GroupName="guest", Strategy="cluster", **spec("placement-group"))
    files = efs.create_file_system(CreationToken="referees-guest", Tags=TAGS)["FileSystemId"]
    until(lambda: efs.describe_file_systems(FileSystemId=files)["FileSystems"][0]["LifeCycleState"] == "available")
    efs.create_mount_target(FileSystemId=files, SubnetId=subnet, SecurityGroups=[group])
    logs.create_log_group(logGroupName="/referees/guest", tags={"Name": "referees-guest"})
    logs.put_retention_policy(logGroupName="/referees/guest", retentionInDays=7)

    queue = sqs.create_queue(QueueName="referees-guest", tags={"Name": "referees-guest"})["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="referees-guest", EventPattern='{"source": ["aws.health"]}', Tags=TAGS)
    events.put_targets(Rule="referees-guest", Targets=[{"Id": "queue", "Arn": queue_arn}])

    def unmount():
        for target in efs.describe_mount_targets(FileSystemId=files)["MountTargets"]:
            efs.delete_mount_target(MountTargetId=target["MountTargetId"])
        until(lambda: not efs.describe_mount_targets(FileSystemId=files)["MountTargets"])

    undo += [
        lambda: events.remove_targets(Rule="referees-guest", Ids=["queue"]),
        lambda: events.delete_rule(Name="referees-guest"),
        lambda: sqs.delete_queue(QueueUrl=queue),
        unmount,
        lambda: efs.delete_file_system(FileSystemId=files),
        lambda: logs.delete_log_group(logGroupName="/referees/guest"),
        lambda: ec2.delete_placement_group(GroupName="guest"),
        lambda: ec2.cancel_capacity_reservation(CapacityReservationId=reservation),
        lambda: ec2.delete_volume(VolumeId=volume),
        lambda: ec2.delete_network_interface(NetworkInterfaceId=interface),
        lambda: ec2.delete_security_group(GroupId=group),
        lambda: ec2.delete_subnet(SubnetId=subnet),
        lambda: ec2.delete_vpc(VpcId=vpc),
        lambda: iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider),
        lambda: iam.detach_role_policy(RoleName=role, PolicyArn=policy),
        lambda: iam.delete_policy(PolicyArn=policy),
        lambda: iam.delete_role_policy(RoleName=role, PolicyName="read"),
        lambda: iam.delete_role(RoleName=role),
    ]

    def remove():
        for step in undo:
            witness.reads("guests", step)
    return remove, {volume}
