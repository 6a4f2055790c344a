"""What was made has to be what the blueprint asks for."""

import yaml

from witness import tags


def check(witness, path):
    with open(path) as text:
        b = yaml.safe_load(text)
    w, name = witness, b["metadata"]["name"]
    wanted = b["metadata"]["tags"] | {"aicluster/cluster": name}
    eks, s3 = w.client("eks"), w.client("s3")

    c = eks.describe_cluster(name=name)["cluster"]
    w.expect("created: cluster", (b["cluster"]["version"], "ACTIVE"), (c["version"], c["status"]))
    w.expect("created: logging", [sorted(b["cluster"]["logging"])], [sorted(l["types"]) for l in c["logging"]["clusterLogging"] if l["enabled"]])
    w.expect("created: admins", True, set(b["cluster"]["admins"]) <= set(w.pages("eks", "list_access_entries", "accessEntries", clusterName=name)))
    bear(w, "cluster", wanted, c["tags"])
    w.expect("created: pools", sorted(p["name"] for p in b["nodePools"]), sorted(w.pages("eks", "list_nodegroups", "nodegroups", clusterName=name)))
    for p in b["nodePools"]:
        g = eks.describe_nodegroup(clusterName=name, nodegroupName=p["name"])["nodegroup"]
        w.expect(f"created: pool {p['name']}", (p["nodes"]["min"], p["nodes"]["max"], p.get("capacity", "onDemand")),
                 (g["scalingConfig"]["minSize"], g["scalingConfig"]["maxSize"], {"SPOT": "spot", "ON_DEMAND": "onDemand"}[g["capacityType"]]))
        w.expect(f"created: pool {p['name']}, taints", [(t["key"], t["value"]) for t in p.get("taints", [])], [(t["key"], t["value"]) for t in g.get("taints", [])])
        w.expect(f"created: pool {p['name']}, labels", True, p.get("labels", {}).items() <= g.get("labels", {}).items())
        bear(w, "pool " + p["name"], wanted, g["tags"])
        running = [i for r in w.client("ec2").describe_instances(Filters=[
            {"Name": "tag:eks:nodegroup-name", "Values": [p["name"]]}, {"Name": "instance-state-name", "Values": ["running"]}])["Reservations"] for i in r["Instances"]]
        w.expect(f"created: pool {p['name']}, instances", g["scalingConfig"]["desiredSize"], len(running))
        for i in running:
            w.expect(f"created: {i['InstanceId']}, type and market", (True, p.get("capacity") == "spot"),
                     (i["InstanceType"] in p["instanceTypes"], i.get("InstanceLifecycle") == "spot"))
            bear(w, i["InstanceId"], wanted, tags(i["Tags"]))
    w.expect("created: bucket", [b["models"]["bucket"]], [x["Name"] for x in s3.list_buckets()["Buckets"]])
    bear(w, "bucket", wanted, tags(s3.get_bucket_tagging(Bucket=b["models"]["bucket"])["TagSet"]))

    # Every resource of EC2 that says whose it is bears the blueprint's tags.
    ours = {t["ResourceId"] for t in w.pages("ec2", "describe_tags", "Tags", Filters=[{"Name": "tag:aicluster/cluster", "Values": [name]}])}
    w.expect("created: resources of EC2", True, len(ours) > 20)
    for i in sorted(ours):
        bear(w, i, wanted, tags(w.pages("ec2", "describe_tags", "Tags", Filters=[{"Name": "resource-id", "Values": [i]}])))
    vpc = w.client("ec2").describe_vpcs(Filters=[{"Name": "tag:aicluster/cluster", "Values": [name]}])["Vpcs"]
    w.expect("created: VPC", [b["network"]["cidr"]], [v["CidrBlock"] for v in vpc])


def bear(witness, what, wanted, got):
    witness.expect(f"created: {what}, tags", wanted, {k: got.get(k) for k in wanted})
