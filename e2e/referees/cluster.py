"""Reads everything that EKS, Auto Scaling, load balancing and CloudWatch Logs hold."""

from witness import tags


class EKS:
    NAME = "eks"

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("eks")
        self.held = {}
        for line in inventory["eks"]:
            kind, name = line.split("/", 1)[1].split("/", 1)
            self.held.setdefault(kind, []).append(name)

    def read(self):
        for kind in self.held.keys() - {"cluster", "nodegroup", "addon", "access-entry", "podidentityassociation", "fargateprofile"}:
            self.w.disagree("referees", f"nothing reads eks/{kind}")
        return self.w.reads("eks", self.clusters) + self.w.reads("eks catalogue", self.catalogue)

    def listed(self, operation, key, **params):
        """A list in one go and in pages of one item; the two have to agree."""
        everything = self.w.pages("eks", operation, key, **params)
        self.w.expect(f"eks {operation}, in pages", everything, self.w.pages("eks", operation, key, 1, **params))
        return everything

    def of(self, kind, cluster):
        return sorted(n.removeprefix(cluster + "/") for n in self.held.get(kind, []) if n.startswith(cluster + "/"))

    def tagged(self, arn, own):
        self.w.expect(f"eks {arn}, tags", own or {}, self.api.list_tags_for_resource(resourceArn=arn)["tags"])

    def clusters(self):
        w, api, count = self.w, self.api, 0
        names = self.listed("list_clusters", "clusters")
        w.expect("eks clusters", self.held.get("cluster", []), sorted(names))
        for name in names:
            c = api.describe_cluster(name=name)["cluster"]
            w.expect(f"eks {name}", (name, f":cluster/{name}"), (c["name"], ":" + c["arn"].rsplit(":", 1)[1]))
            self.tagged(c["arn"], c.get("tags"))
            for part in (self.nodegroups, self.addons, self.entries, self.associations, self.profiles, self.updates):
                count += w.reads(f"eks {part.__name__}", lambda: part(name))
        w.fails("eks", "describe_cluster", "ResourceNotFoundException", name="no-such")
        w.fails("eks", "list_nodegroups", "ResourceNotFoundException", clusterName="no-such")
        w.fails("eks", "list_tags_for_resource", "NotFoundException", resourceArn="arn:aws:eks:us-west-2:111122223333:cluster/no-such")
        return count + len(names)

    def nodegroups(self, cluster):
        w, names = self.w, self.listed("list_nodegroups", "nodegroups", clusterName=cluster)
        w.expect("eks node groups", self.of("nodegroup", cluster), sorted(names))
        for name in names:
            g = self.api.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
            w.expect(f"eks node group {name}", (name, cluster), (g["nodegroupName"], g["clusterName"]))
            self.tagged(g["nodegroupArn"], g.get("tags"))
            for group in g["resources"]["autoScalingGroups"]:
                found = w.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group["name"]])["AutoScalingGroups"]
                sizes = {k: found[0][m] for k, m in (("minSize", "MinSize"), ("maxSize", "MaxSize"), ("desiredSize", "DesiredCapacity"))}
                w.expect(f"eks node group {name}, its group's sizes", g["scalingConfig"], sizes)
                w.expect(f"eks node group {name}, its group's subnets", sorted(g["subnets"]), sorted(found[0]["VPCZoneIdentifier"].split(",")))
        w.fails("eks", "describe_nodegroup", "ResourceNotFoundException", clusterName=cluster, nodegroupName="no-such")
        return len(names)

    def addons(self, cluster):
        w, names = self.w, self.listed("list_addons", "addons", clusterName=cluster)
        w.expect("eks add-ons", self.of("addon", cluster), sorted(names))
        version = self.api.describe_cluster(name=cluster)["cluster"]["version"]
        for name in names:
            a = self.api.describe_addon(clusterName=cluster, addonName=name)["addon"]
            w.expect(f"eks add-on {name}", (name, cluster), (a["addonName"], a["clusterName"]))
            self.tagged(a["addonArn"], a.get("tags"))
            offered = w.pages("eks", "describe_addon_versions", "addons", addonName=name, kubernetesVersion=version)
            w.expect(f"eks add-on {name}, its version is offered", True,
                     a["addonVersion"] in [v["addonVersion"] for o in offered for v in o["addonVersions"]])
            c = self.api.describe_addon_configuration(addonName=name, addonVersion=a["addonVersion"])
            w.expect(f"eks add-on {name}, configuration", (name, a["addonVersion"]), (c["addonName"], c["addonVersion"]))
        w.fails("eks", "describe_addon", "ResourceNotFoundException", clusterName=cluster, addonName="no-such")
        return len(names)

    def entries(self, cluster):
        w, principals = self.w, self.listed("list_access_entries", "accessEntries", clusterName=cluster)
        w.expect("eks access entries", self.of("access-entry", cluster), sorted(principals))
        holders = {}
        for p in principals:
            e = self.api.describe_access_entry(clusterName=cluster, principalArn=p)["accessEntry"]
            w.expect(f"eks access entry {p}", (p, cluster), (e["principalArn"], e["clusterName"]))
            self.tagged(e["accessEntryArn"], e.get("tags"))
            for policy in self.listed("list_associated_access_policies", "associatedAccessPolicies", clusterName=cluster, principalArn=p):
                holders.setdefault(policy["policyArn"], []).append(p)
        known = {p["arn"] for p in self.listed("list_access_policies", "accessPolicies")}
        for policy, who in holders.items():
            w.expect(f"eks access policy {policy} is known", True, policy in known)
            got = w.pages("eks", "list_access_entries", "accessEntries", clusterName=cluster, associatedPolicyArn=policy)
            w.expect(f"eks entries with {policy}", sorted(who), sorted(got))
        w.fails("eks", "describe_access_entry", "ResourceNotFoundException", clusterName=cluster, principalArn="arn:aws:iam::111122223333:role/no-such")
        return len(principals)

    def associations(self, cluster):
        w, found = self.w, self.listed("list_pod_identity_associations", "associations", clusterName=cluster)
        w.expect("eks associations", self.of("podidentityassociation", cluster), sorted(a["associationId"] for a in found))
        for a in found:
            d = self.api.describe_pod_identity_association(clusterName=cluster, associationId=a["associationId"])["association"]
            w.expect(f"eks association {a['associationId']}", a, {k: d.get(k) for k in a})
            self.tagged(d["associationArn"], d.get("tags"))
            for by in ({"namespace": a["namespace"]}, {"namespace": a["namespace"], "serviceAccount": a["serviceAccount"]}):
                got = w.pages("eks", "list_pod_identity_associations", "associations", clusterName=cluster, **by)
                w.expect(f"eks associations by {by}", [x for x in found if by.items() <= x.items()], got)
        w.fails("eks", "describe_pod_identity_association", "ResourceNotFoundException", clusterName=cluster, associationId="a-ffffffffffffffff0")
        return len(found)

    def profiles(self, cluster):
        w, names = self.w, self.listed("list_fargate_profiles", "fargateProfileNames", clusterName=cluster)
        w.expect("eks Fargate profiles", self.of("fargateprofile", cluster), sorted(names))
        for name in names:
            p = self.api.describe_fargate_profile(clusterName=cluster, fargateProfileName=name)["fargateProfile"]
            w.expect(f"eks Fargate profile {name}", (name, cluster), (p["fargateProfileName"], p["clusterName"]))
            self.tagged(p["fargateProfileArn"], p.get("tags"))
        w.fails("eks", "describe_fargate_profile", "ResourceNotFoundException", clusterName=cluster, fargateProfileName="no-such")
        return len(names)

    def updates(self, cluster):
        w = self.w
        of = [{}] + [{"nodegroupName": n} for n in self.of("nodegroup", cluster)] + [{"addonName": a} for a in self.of("addon", cluster)]
        for which in of:
            for i in self.listed("list_updates", "updateIds", name=cluster, **which):
                w.expect(f"eks update {i}", i, self.api.describe_update(name=cluster, updateId=i, **which)["update"]["id"])
        w.fails("eks", "describe_update", "ResourceNotFoundException", name=cluster, updateId="00000000-0000-0000-0000-000000000000")

    def catalogue(self):
        w = self.w
        versions = self.listed("describe_cluster_versions", "clusterVersions")
        for v in versions:
            got = w.pages("eks", "describe_cluster_versions", "clusterVersions", clusterVersions=[v["clusterVersion"]])
            w.expect(f"eks version {v['clusterVersion']}", [v], got)
        default = w.pages("eks", "describe_cluster_versions", "clusterVersions", defaultOnly=True)
        w.expect("eks default version", [v for v in versions if v["defaultVersion"]], default)
        for status in {v["versionStatus"] for v in versions}:
            got = w.pages("eks", "describe_cluster_versions", "clusterVersions", versionStatus=status)
            w.expect(f"eks versions, {status}", [v for v in versions if v["versionStatus"] == status], got)
        self.listed("describe_addon_versions", "addons")

    def gone(self, held):
        for name in held.get("cluster", []):
            self.w.fails("eks", "describe_cluster", "ResourceNotFoundException", name=name)
            self.w.fails("eks", "list_addons", "ResourceNotFoundException", clusterName=name)
            self.w.fails("eks", "describe_nodegroup", "ResourceNotFoundException", clusterName=name, nodegroupName="system")
        self.w.expect("eks clusters after teardown", [], self.w.pages("eks", "list_clusters", "clusters"))


class Scaling:
    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("autoscaling")
        self.held = [line.rsplit("/", 1)[1] for line in inventory["autoscaling"]]

    def read(self):
        return self.w.reads("autoscaling", self.groups)

    def groups(self):
        w = self.w
        groups = {g["AutoScalingGroupName"]: g for g in w.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")}
        w.expect("autoscaling groups", sorted(self.held), sorted(groups))
        w.expect("autoscaling groups, in pages", list(groups.values()), w.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", 1))
        listed = {}
        for t in w.pages("autoscaling", "describe_tags", "Tags", 2):
            listed.setdefault(t["ResourceId"], []).append(t)
        members = {}
        for name, g in groups.items():
            w.expect(f"autoscaling {name}, by name", [g], w.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name]))
            w.expect(f"autoscaling {name}, DescribeTags", sorted(g["Tags"], key=str), sorted(listed.get(name, []), key=str))
            by = w.pages("autoscaling", "describe_tags", "Tags", Filters=[{"Name": "auto-scaling-group", "Values": [name]}])
            w.expect(f"autoscaling {name}, DescribeTags by group", sorted(g["Tags"], key=str), sorted(by, key=str))
            for tag in g["Tags"]:
                for filters in ([{"Name": "tag:" + tag["Key"], "Values": [tag["Value"]]}], [{"Name": "tag-key", "Values": [tag["Key"]]}]):
                    want = [n for n, o in groups.items() if tags(o["Tags"]).get(tag["Key"]) in ([tag["Value"]] if filters[0]["Name"] != "tag-key" else [v for v in tags(o["Tags"]).values()])]
                    got = w.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", Filters=filters)
                    w.expect(f"autoscaling groups by {filters[0]['Name']}={filters[0]['Values'][0]}", sorted(want), sorted(o["AutoScalingGroupName"] for o in got))
            members |= {i["InstanceId"]: (name, i) for i in g["Instances"]}
            activities = w.pages("autoscaling", "describe_scaling_activities", "Activities", 1, AutoScalingGroupName=name)
            w.expect(f"autoscaling {name}, activities", {name}, {a["AutoScalingGroupName"] for a in activities})
            one = self.api.describe_scaling_activities(ActivityIds=[activities[0]["ActivityId"]])["Activities"]
            w.expect(f"autoscaling {name}, one activity", activities[:1], one)
        instances = w.pages("autoscaling", "describe_auto_scaling_instances", "AutoScalingInstances", 1)
        w.expect("autoscaling instances", {i: n for i, (n, _) in members.items()}, {i["InstanceId"]: i["AutoScalingGroupName"] for i in instances})
        for i in instances:
            w.expect(f"autoscaling {i['InstanceId']}", [i], self.api.describe_auto_scaling_instances(InstanceIds=[i["InstanceId"]])["AutoScalingInstances"])
            of_group = members[i["InstanceId"]][1]
            w.expect(f"autoscaling {i['InstanceId']}, in its group", {k: v for k, v in of_group.items() if k not in ("HealthStatus",)},
                     {k: i.get(k) for k in of_group if k not in ("HealthStatus",)})
        w.expect("autoscaling, no such group", [], w.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=["no-such"]))
        return len(groups)

    def gone(self, held):
        self.w.expect("autoscaling after teardown", [], self.w.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"))
        self.w.expect("autoscaling instances after teardown", [], self.w.pages("autoscaling", "describe_auto_scaling_instances", "AutoScalingInstances"))
        self.w.expect("autoscaling tags after teardown", [], self.w.pages("autoscaling", "describe_tags", "Tags"))


class Balancing:
    NAME = "elbv2"

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("elbv2")
        self.held = {}
        for line in inventory["elbv2"]:
            kind, arn, *_ = line.split(" ")
            self.held.setdefault(kind.removeprefix("elbv2/"), []).append(arn)

    def read(self):
        for kind in self.held.keys() - {"load-balancer", "target-group", "listener"}:
            self.w.disagree("referees", f"nothing reads elbv2/{kind}")
        return self.w.reads("elbv2", self.balancers) + self.w.reads("elbv2 target groups", self.targets)

    def described(self, operation, key, arn, ids, name=None):
        """Everything of a kind: in one go, in pages, by ARN, by name."""
        w, everything = self.w, self.w.pages("elbv2", operation, key)
        w.expect(f"elbv2 {operation}, in pages", everything, w.pages("elbv2", operation, key, 1))
        for item in everything:
            w.expect(f"elbv2 {item[arn]}, by ARN", [item], w.pages("elbv2", operation, key, **{ids: [item[arn]]}))
            if name:
                w.expect(f"elbv2 {item[arn]}, by name", [item], w.pages("elbv2", operation, key, Names=[item[name]]))
        return everything

    def balancers(self):
        w, api, count = self.w, self.api, 0
        found = self.described("describe_load_balancers", "LoadBalancers", "LoadBalancerArn", "LoadBalancerArns", "LoadBalancerName")
        w.expect("elbv2 load balancers", sorted(self.held.get("load-balancer", [])), sorted(b["LoadBalancerArn"] for b in found))
        interfaces = w.pages("ec2", "describe_network_interfaces", "NetworkInterfaces")
        for b in found:
            arn = b["LoadBalancerArn"]
            w.expect(f"elbv2 {arn}, attributes", True, bool(api.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]))
            w.expect(f"elbv2 {arn}, tags", [arn], [t["ResourceArn"] for t in api.describe_tags(ResourceArns=[arn])["TagDescriptions"]])
            listeners = w.pages("elbv2", "describe_listeners", "Listeners", 1, LoadBalancerArn=arn)
            for l in listeners:
                w.expect(f"elbv2 {l['ListenerArn']}", [l], w.pages("elbv2", "describe_listeners", "Listeners", ListenerArns=[l["ListenerArn"]]))
                w.expect(f"elbv2 {l['ListenerArn']}, attributes", l["Protocol"] in ("TCP", "TCP_UDP"), bool(api.describe_listener_attributes(ListenerArn=l["ListenerArn"])["Attributes"]))
            groups = {a["TargetGroupArn"] for l in listeners for a in l["DefaultActions"]}
            of = w.pages("elbv2", "describe_target_groups", "TargetGroups", LoadBalancerArn=arn)
            w.expect(f"elbv2 {arn}, target groups", groups, {g["TargetGroupArn"] for g in of})
            holds = [i for i in interfaces if i.get("Description") == "ELB " + arn.split(":loadbalancer/")[1]]
            w.expect(f"elbv2 {arn}, interfaces in its subnets", sorted(z["SubnetId"] for z in b["AvailabilityZones"]), sorted(i["SubnetId"] for i in holds))
            count += 1 + len(listeners)
        w.fails("elbv2", "describe_load_balancers", "LoadBalancerNotFound", Names=["no-such"])
        return count

    def targets(self):
        w, api = self.w, self.api
        found = self.described("describe_target_groups", "TargetGroups", "TargetGroupArn", "TargetGroupArns", "TargetGroupName")
        w.expect("elbv2 target groups", sorted(self.held.get("target-group", [])), sorted(g["TargetGroupArn"] for g in found))
        arns = [g["TargetGroupArn"] for g in found]
        if arns:
            w.expect("elbv2 tags of target groups", arns, [t["ResourceArn"] for t in api.describe_tags(ResourceArns=arns)["TagDescriptions"]])
        for g in found:
            w.expect(f"elbv2 {g['TargetGroupArn']}, attributes", True, bool(api.describe_target_group_attributes(TargetGroupArn=g["TargetGroupArn"])["Attributes"]))
            health = api.describe_target_health(TargetGroupArn=g["TargetGroupArn"])["TargetHealthDescriptions"]
            w.expect(f"elbv2 {g['TargetGroupArn']}, targets", True, bool(health))
            one = api.describe_target_health(TargetGroupArn=g["TargetGroupArn"], Targets=[health[0]["Target"]])["TargetHealthDescriptions"]
            w.expect(f"elbv2 {g['TargetGroupArn']}, one target", health[:1], one)
        w.fails("elbv2", "describe_target_groups", "TargetGroupNotFound", Names=["no-such"])
        return len(found)

    def gone(self, held):
        for arn in held.get("load-balancer", []):
            self.w.fails("elbv2", "describe_load_balancers", "LoadBalancerNotFound", LoadBalancerArns=[arn])
            self.w.fails("elbv2", "describe_tags", "LoadBalancerNotFound", ResourceArns=[arn])
        for arn in held.get("target-group", []):
            self.w.fails("elbv2", "describe_target_groups", "TargetGroupNotFound", TargetGroupArns=[arn])


class Classic:
    """The load balancers of the older API."""

    NAME = "elb"

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("elb")
        self.held = {"load-balancer": [line.split(" ")[2] for line in inventory["elb"]]}

    def read(self):
        return self.w.reads("elb", self.balancers)

    def balancers(self):
        w, api = self.w, self.api
        found = w.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions")
        names = [b["LoadBalancerName"] for b in found]
        w.expect("elb load balancers", self.held["load-balancer"], sorted(names))
        w.expect("elb load balancers, in pages", found, w.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions", 1))
        described = {t["LoadBalancerName"]: tags(t["Tags"]) for t in api.describe_tags(LoadBalancerNames=names)["TagDescriptions"]}
        w.expect("elb tags", set(names), set(described))
        interfaces = w.pages("ec2", "describe_network_interfaces", "NetworkInterfaces")
        for b in found:
            name = b["LoadBalancerName"]
            w.expect(f"elb {name}, by name", [b], w.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions", LoadBalancerNames=[name]))
            w.expect(f"elb {name}, owned", "owned", described[name].get("kubernetes.io/cluster/referees"))
            instances = sorted(i["InstanceId"] for i in b["Instances"])
            health = api.describe_instance_health(LoadBalancerName=name)["InstanceStates"]
            w.expect(f"elb {name}, health", instances, sorted(h["InstanceId"] for h in health))
            one = api.describe_instance_health(LoadBalancerName=name, Instances=[{"InstanceId": instances[0]}])["InstanceStates"]
            w.expect(f"elb {name}, health of one", instances[:1], [h["InstanceId"] for h in one])
            attributes = api.describe_load_balancer_attributes(LoadBalancerName=name)["LoadBalancerAttributes"]
            w.expect(f"elb {name}, draining as its Service says", True, attributes["ConnectionDraining"]["Enabled"])
            policies = {p["PolicyName"] for p in api.describe_load_balancer_policies(LoadBalancerName=name)["PolicyDescriptions"]}
            used = {p for s in b["BackendServerDescriptions"] for p in s["PolicyNames"]} | {p for l in b["ListenerDescriptions"] for p in l["PolicyNames"]}
            w.expect(f"elb {name}, policies in use exist", True, bool(used) and used <= policies)
            for p in policies:
                got = api.describe_load_balancer_policies(LoadBalancerName=name, PolicyNames=[p])["PolicyDescriptions"]
                w.expect(f"elb {name}, policy {p}", [p], [x["PolicyName"] for x in got])
            holds = [i for i in interfaces if i.get("Description") == "ELB " + name]
            w.expect(f"elb {name}, interfaces in its subnets", sorted(b["Subnets"]), sorted(i["SubnetId"] for i in holds))
            w.expect(f"elb {name}, groups of its interfaces", {tuple(sorted(b["SecurityGroups"]))}, {tuple(sorted(g["GroupId"] for g in i["Groups"])) for i in holds})
        api.describe_load_balancer_policies()  # those that AWS offers
        w.fails("elb", "describe_load_balancers", "LoadBalancerNotFound", LoadBalancerNames=["no-such"])
        w.fails("elb", "describe_load_balancer_attributes", "LoadBalancerNotFound", LoadBalancerName="no-such")
        w.fails("elb", "describe_tags", "LoadBalancerNotFound", LoadBalancerNames=["no-such"])
        return len(found)

    def gone(self, held):
        for name in held["load-balancer"]:
            self.w.fails("elb", "describe_load_balancers", "LoadBalancerNotFound", LoadBalancerNames=[name])


class Files:
    """File systems and their mount targets."""

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("efs")
        self.held = [line.split(" ")[1].split("/")[1] for line in inventory["efs"]]

    def read(self):
        return self.w.reads("efs", self.systems)

    def systems(self):
        w, api = self.w, self.api
        found = w.pages("efs", "describe_file_systems", "FileSystems")
        w.expect("file systems, in pages", found, w.pages("efs", "describe_file_systems", "FileSystems", 1))
        interfaces = {i["NetworkInterfaceId"]: i for i in w.pages("ec2", "describe_network_interfaces", "NetworkInterfaces")}
        seen = []
        for f in found:
            name = f["FileSystemId"]
            w.expect(f"file system {name}, by id", [f], w.pages("efs", "describe_file_systems", "FileSystems", FileSystemId=name))
            w.expect(f"file system {name}, by token", [f], w.pages("efs", "describe_file_systems", "FileSystems", CreationToken=f["CreationToken"]))
            w.expect(f"file system {name}, tags", tags(f["Tags"]), tags(api.list_tags_for_resource(ResourceId=name)["Tags"]))
            targets = w.pages("efs", "describe_mount_targets", "MountTargets", FileSystemId=name)
            w.expect(f"file system {name}, mount targets", f["NumberOfMountTargets"], len(targets))
            seen += [name] + [t["MountTargetId"] for t in targets]
            for t in targets:
                w.expect(f"mount target {t['MountTargetId']}, by id", [t], api.describe_mount_targets(MountTargetId=t["MountTargetId"])["MountTargets"])
                groups = api.describe_mount_target_security_groups(MountTargetId=t["MountTargetId"])["SecurityGroups"]
                holds = interfaces[t["NetworkInterfaceId"]]
                w.expect(f"mount target {t['MountTargetId']}, interface", (t["SubnetId"], t["IpAddress"], sorted(groups)),
                         (holds["SubnetId"], holds["PrivateIpAddress"], sorted(g["GroupId"] for g in holds["Groups"])))
        w.expect("file systems and mount targets", sorted(self.held), sorted(seen))
        w.fails("efs", "describe_file_systems", "FileSystemNotFound", FileSystemId="fs-0123456789abcdef0")
        w.fails("efs", "describe_mount_targets", "MountTargetNotFound", MountTargetId="fsmt-0123456789abcdef0")
        w.fails("efs", "list_tags_for_resource", "FileSystemNotFound", ResourceId="fs-0123456789abcdef0")
        return len(seen)

    def gone(self, held):
        self.w.expect("file systems after teardown", [], self.w.pages("efs", "describe_file_systems", "FileSystems"))


class Logs:
    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("logs")
        self.held = [line.split(" ", 2)[2] for line in inventory["logs"]]

    def read(self):
        return self.w.reads("logs", self.groups)

    def groups(self):
        w, api = self.w, self.api
        found = w.pages("logs", "describe_log_groups", "logGroups")
        w.expect("log groups", sorted(self.held), sorted(g["logGroupName"] for g in found))
        w.expect("log groups, in pages", found, w.pages("logs", "describe_log_groups", "logGroups", 1))
        for g in found:
            name = g["logGroupName"]
            w.expect(f"log group {name}, by prefix", [x for x in found if x["logGroupName"].startswith(name)],
                     w.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name))
            w.expect(f"log group {name}, by pattern", [x for x in found if name.split("/")[-2] in x["logGroupName"]],
                     w.pages("logs", "describe_log_groups", "logGroups", logGroupNamePattern=name.split("/")[-2]))
            streams = w.pages("logs", "describe_log_streams", "logStreams", logGroupName=name)
            w.expect(f"streams of {name}, last first", list(reversed(streams)), w.pages("logs", "describe_log_streams", "logStreams", logGroupName=name, descending=True))
            events = w.pages("logs", "filter_log_events", "events", logGroupName=name)
            w.expect(f"streams of {name} with lines", sorted({e["logStreamName"] for e in events}), sorted(x["logStreamName"] for x in streams if "lastEventTimestamp" in x))
            self.tags = api.list_tags_for_resource(resourceArn=g["logGroupArn"])["tags"]
        for call in ("describe_log_streams", "filter_log_events"):
            w.fails("logs", call, "ResourceNotFoundException", logGroupName="/no/such")
        w.fails("logs", "list_tags_for_resource", "ResourceNotFoundException", resourceArn="arn:aws:logs:us-west-2:111122223333:log-group:no-such")
        return len(found)

    def gone(self, held):
        self.w.expect("log groups after teardown", [], self.w.pages("logs", "describe_log_groups", "logGroups"))
