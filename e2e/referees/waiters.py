"""botocore's waiters have to end well on what the local cloud holds."""

import botocore.exceptions


def present(witness, held):
    """Waiters for things that are there. Each ends at its first look."""
    ec2 = {kind: ids for kind, ids in held["ec2"].items() if ids}
    cluster = "referees"
    w = Waiter(witness)
    w.wait("ec2", "vpc_available", VpcIds=ec2["vpc"])
    w.wait("ec2", "vpc_exists", VpcIds=ec2["vpc"])
    w.wait("ec2", "subnet_available", SubnetIds=ec2["subnet"])
    w.wait("ec2", "nat_gateway_available", NatGatewayIds=ec2["nat-gateway"])
    w.wait("ec2", "internet_gateway_exists", InternetGatewayIds=ec2["internet-gateway"])
    w.wait("ec2", "security_group_exists", GroupIds=ec2["security-group"])
    w.wait("ec2", "instance_exists", InstanceIds=ec2["instance"])
    w.wait("ec2", "instance_running", InstanceIds=ec2["instance"])
    w.wait("ec2", "instance_status_ok", InstanceIds=ec2["instance"])
    w.wait("ec2", "system_status_ok", InstanceIds=ec2["instance"])
    w.wait("ec2", "volume_in_use", Filters=[{"Name": "attachment.instance-id", "Values": ec2["instance"]}])
    w.wait("ec2", "volume_available", Filters=[{"Name": "tag:Name", "Values": ["referees-guest"]}])
    w.wait("ec2", "network_interface_available", Filters=[{"Name": "tag:Name", "Values": ["referees-guest"]}])
    w.wait("ec2", "image_exists", Owners=["amazon"], Filters=[{"Name": "state", "Values": ["available"]}])
    w.wait("eks", "cluster_active", name=cluster)
    for name in held["eks"]["nodegroup"]:
        w.wait("eks", "nodegroup_active", clusterName=cluster, nodegroupName=name.split("/")[1])
    for name in held["eks"]["addon"]:
        w.wait("eks", "addon_active", clusterName=cluster, addonName=name.split("/")[1])
    w.wait("elbv2", "load_balancer_available", LoadBalancerArns=held["elbv2"]["load-balancer"])
    w.wait("elbv2", "load_balancer_exists", LoadBalancerArns=held["elbv2"]["load-balancer"])
    for arn in held["elbv2"]["target-group"]:
        # Of a Service that keeps to the nodes with its pods, the other nodes never are.
        health = witness.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        serve = [t["Target"] for t in health if t["TargetHealth"]["State"] == "healthy"]
        witness.expect(f"elbv2 {arn}, a target serves", True, bool(serve))
        w.wait("elbv2", "target_in_service", TargetGroupArn=arn, Targets=serve)
    for name in held["elb"]["load-balancer"]:
        w.wait("elb", "instance_in_service", LoadBalancerName=name)
        w.wait("elb", "any_instance_in_service", LoadBalancerName=name)
    for arn in held["iam"]["role"]:
        w.wait("iam", "role_exists", RoleName=arn.rsplit("/", 1)[1])
    for arn in held["iam"]["instance-profile"]:
        w.wait("iam", "instance_profile_exists", InstanceProfileName=arn.rsplit("/", 1)[1])
    w.wait("iam", "policy_exists", PolicyArn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
    for name in held["s3"]["bucket"]:
        w.wait("s3", "bucket_exists", Bucket=name)
    for name in held["s3"]["object"]:
        w.wait("s3", "object_exists", Bucket=name.split("/", 1)[0], Key=name.split("/", 1)[1])
    return w.count


def absent(witness, held):
    """Waiters for things that the teardown has removed."""
    cluster, w = "referees", Waiter(witness)
    w.wait("eks", "cluster_deleted", name=cluster)
    for name in held["eks"]["nodegroup"]:
        w.wait("eks", "nodegroup_deleted", clusterName=cluster, nodegroupName=name.split("/")[1])
    for name in held["eks"]["addon"]:
        w.wait("eks", "addon_deleted", clusterName=cluster, addonName=name.split("/")[1])
    w.wait("ec2", "nat_gateway_deleted", NatGatewayIds=held["ec2"]["nat-gateway"])
    # EC2 forgets a terminated instance after an hour, which is soon over here.
    visible = witness.client("ec2").describe_instances(Filters=[{"Name": "instance-id", "Values": held["ec2"]["instance"]}])
    for instance in [i["InstanceId"] for r in visible["Reservations"] for i in r["Instances"]]:
        w.wait("ec2", "instance_terminated", Filters=[{"Name": "instance-id", "Values": [instance]}])
    for volume in held["ec2"]["volume"]:
        if volume not in held["guests"]:
            w.wait("ec2", "volume_deleted", VolumeIds=[volume])
    w.wait("elbv2", "load_balancers_deleted", LoadBalancerArns=held["elbv2"]["load-balancer"])
    for name in held["s3"]["bucket"]:
        w.wait("s3", "bucket_not_exists", Bucket=name)
    return w.count


class Waiter:
    def __init__(self, witness):
        self.witness, self.count = witness, 0

    def wait(self, service, waiter_name, /, **params):
        self.count += 1
        waiter = self.witness.client(service).get_waiter(waiter_name)
        waiter.config.delay, waiter.config.max_attempts = 0, 1
        try:
            waiter.wait(**params)
        except botocore.exceptions.WaiterError as error:
            self.witness.disagree(f"waiter {service} {waiter_name}", f"{error} for {params}")
