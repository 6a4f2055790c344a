"""Reads everything that IAM and S3 hold, and what STS, SSM and Service Quotas know."""

from witness import tags


class IAM:
    NAME = "iam"

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("iam")
        self.held = {}
        for line in inventory["iam"]:
            kind, arn, *_ = line.split(" ")
            self.held.setdefault(kind.removeprefix("iam/"), []).append(arn)

    def read(self):
        for kind in self.held.keys() - {"role", "instance-profile", "policy", "oidc-provider"}:
            self.w.disagree("referees", f"nothing reads iam/{kind}")
        return sum(self.w.reads(f"iam {part.__name__}", part) for part in (self.roles, self.profiles, self.policies, self.providers))

    def listed(self, operation, key, size=1, **params):
        everything = self.w.pages("iam", operation, key, **params)
        self.w.expect(f"iam {operation}, in pages", everything, self.w.pages("iam", operation, key, size, **params))
        return everything

    def roles(self):
        w, api = self.w, self.api
        found = self.listed("list_roles", "Roles")
        own = [r for r in found if not r["Path"].startswith("/aws-service-role/")]  # some of these services make unasked
        w.expect("iam roles", sorted(a for a in self.held.get("role", []) if ":role/aws-service-role/" not in a), sorted(r["Arn"] for r in own))
        for r in found:
            name = r["RoleName"]
            got = api.get_role(RoleName=name)["Role"]
            w.expect(f"iam role {name}", r, {k: v for k, v in got.items() if k in r})
            w.expect(f"iam role {name}, trust", True, isinstance(got["AssumeRolePolicyDocument"], dict))
            w.expect(f"iam role {name}, tags", tags(got.get("Tags")), tags(self.listed("list_role_tags", "Tags", RoleName=name)))
            for p in self.listed("list_attached_role_policies", "AttachedPolicies", RoleName=name):
                policy = api.get_policy(PolicyArn=p["PolicyArn"])["Policy"]
                w.expect(f"iam {p['PolicyArn']}", p["PolicyName"], policy["PolicyName"])
                version = api.get_policy_version(PolicyArn=p["PolicyArn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
                w.expect(f"iam {p['PolicyArn']}, default version", (policy["DefaultVersionId"], True), (version["VersionId"], version["IsDefaultVersion"]))
            for p in self.listed("list_role_policies", "PolicyNames", RoleName=name):
                policy = api.get_role_policy(RoleName=name, PolicyName=p)
                w.expect(f"iam role {name}, policy {p}", (name, p, True), (policy["RoleName"], policy["PolicyName"], "Statement" in policy["PolicyDocument"]))
            profiles = self.listed("list_instance_profiles_for_role", "InstanceProfiles", RoleName=name)
            for p in profiles:
                w.expect(f"iam profile {p['InstanceProfileName']} has {name}", True, name in [x["RoleName"] for x in p["Roles"]])
        below = w.pages("iam", "list_roles", "Roles", PathPrefix="/aws-service-role/")
        w.expect("iam roles by path", [r for r in found if r["Path"].startswith("/aws-service-role/")], below)
        w.fails("iam", "get_role", "NoSuchEntity", RoleName="no-such")
        w.fails("iam", "get_role_policy", "NoSuchEntity", RoleName=found[0]["RoleName"], PolicyName="no-such")
        w.fails("iam", "get_service_linked_role_deletion_status", "NoSuchEntity", DeletionTaskId="task/aws-service-role/eks.amazonaws.com/no-such/00000000-0000-0000-0000-000000000000")
        user = w.client("sts").get_caller_identity()["Arn"]
        plain = next(r for r in found if r["Path"] == "/")
        for result in w.pages("iam", "simulate_principal_policy", "EvaluationResults", PolicySourceArn=plain["Arn"], ActionNames=["ec2:DescribeVpcs", "eks:CreateCluster"]):
            w.expect("iam simulation", True, result["EvalActionName"] in ("ec2:DescribeVpcs", "eks:CreateCluster"))
        w.expect("sts caller", True, user.startswith("arn:aws:iam::111122223333:"))
        return len(found)

    def profiles(self):
        w = self.w
        found = self.listed("list_instance_profiles", "InstanceProfiles")
        w.expect("iam instance profiles", sorted(self.held.get("instance-profile", [])), sorted(p["Arn"] for p in found))
        for p in found:
            w.expect(f"iam profile {p['InstanceProfileName']}", p, {k: v for k, v in
                     self.api.get_instance_profile(InstanceProfileName=p["InstanceProfileName"])["InstanceProfile"].items() if k in p})
        w.fails("iam", "get_instance_profile", "NoSuchEntity", InstanceProfileName="no-such")
        return len(found)

    def policies(self):
        w = self.w
        own = self.listed("list_policies", "Policies", Scope="Local")
        w.expect("iam policies", sorted(self.held.get("policy", [])), sorted(p["Arn"] for p in own))
        for p in own:
            w.expect(f"iam {p['Arn']}", p, {k: v for k, v in self.api.get_policy(PolicyArn=p["Arn"])["Policy"].items() if k in p})
        w.fails("iam", "get_policy", "NoSuchEntity", PolicyArn="arn:aws:iam::111122223333:policy/no-such")
        w.fails("iam", "get_policy_version", "NoSuchEntity", PolicyArn="arn:aws:iam::111122223333:policy/no-such", VersionId="v1")
        return len(own)

    def providers(self):
        w = self.w
        found = [p["Arn"] for p in self.api.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
        w.expect("iam providers", sorted(self.held.get("oidc-provider", [])), sorted(found))
        for arn in found:
            w.expect(f"iam {arn}", arn.split("oidc-provider/")[1], self.api.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["Url"])
        w.fails("iam", "get_open_id_connect_provider", "NoSuchEntity", OpenIDConnectProviderArn="arn:aws:iam::111122223333:oidc-provider/no.such")
        return len(found)

    def gone(self, held):
        for arn in held.get("role", []):
            if "/aws-service-role/" not in arn:  # which the account keeps
                self.w.fails("iam", "get_role", "NoSuchEntity", RoleName=arn.rsplit("/", 1)[1])
        for arn in held.get("instance-profile", []):
            self.w.fails("iam", "get_instance_profile", "NoSuchEntity", InstanceProfileName=arn.rsplit("/", 1)[1])


class S3:
    """The bucket and what is in it. The rest of the settings is as the product made them."""

    NAME = "s3"

    SETTINGS = ("bucket_location", "bucket_tagging", "bucket_versioning", "bucket_encryption", "public_access_block", "bucket_lifecycle_configuration",
                "bucket_ownership_controls", "bucket_policy")

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("s3")
        self.held = {}
        for line in inventory["s3"]:
            kind, name = line.split("/", 1)[1].split("/", 1)
            self.held.setdefault(kind, []).append(name)

    def read(self):
        return self.w.reads("s3", self.buckets)

    def buckets(self):
        w, api = self.w, self.api
        names = [b["Name"] for b in api.list_buckets()["Buckets"]]
        w.expect("s3 buckets", sorted(self.held.get("bucket", [])), sorted(names))
        keys = []
        for bucket in names:
            api.head_bucket(Bucket=bucket)
            for setting in self.SETTINGS:
                getattr(api, "get_" + setting)(Bucket=bucket)
            objects = w.pages("s3", "list_objects_v2", "Contents", Bucket=bucket)
            w.expect("s3 objects, in pages", objects, w.pages("s3", "list_objects_v2", "Contents", 1, Bucket=bucket))
            old = w.pages("s3", "list_objects", "Contents", 1, Bucket=bucket)
            w.expect("s3 objects, the older list", [o["Key"] for o in objects], [o["Key"] for o in old])
            current = [v for v in w.pages("s3", "list_object_versions", "Versions", Bucket=bucket) if v["IsLatest"]]
            w.expect("s3 current versions", {o["Key"]: (o["ETag"], o["Size"]) for o in objects}, {v["Key"]: (v["ETag"], v["Size"]) for v in current})
            w.expect("s3 uploads in progress", [], w.pages("s3", "list_multipart_uploads", "Uploads", Bucket=bucket))
            for o in objects:
                head = api.head_object(Bucket=bucket, Key=o["Key"], ChecksumMode="ENABLED")
                w.expect(f"s3 {o['Key']}", (o["ETag"], o["Size"], o["LastModified"]), (head["ETag"], head["ContentLength"], head["LastModified"]))
                body = api.get_object(Bucket=bucket, Key=o["Key"])["Body"].read()
                w.expect(f"s3 {o['Key']}, bytes", o["Size"], len(body))
                keys.append(f"{bucket}/{o['Key']}")
            w.fails("s3", "head_object", "404", Bucket=bucket, Key="no-such")
            w.fails("s3", "get_object", "NoSuchKey", Bucket=bucket, Key="no-such")
        w.expect("s3 objects", sorted(self.held.get("object", [])), sorted(keys))
        w.fails("s3", "head_bucket", "404", Bucket="referees-no-such")
        w.fails("s3", "get_bucket_tagging", "NoSuchBucket", Bucket="referees-no-such")
        return len(names) + len(keys)

    def gone(self, held):
        for bucket in held.get("bucket", []):
            self.w.fails("s3", "list_objects_v2", "NoSuchBucket", Bucket=bucket)


class Others:
    """What lists nothing of the account's: STS, SSM's public parameters, Service Quotas."""

    def __init__(self, witness, inventory):
        self.w, self.held = witness, {}
        for line in inventory["ssm"]:
            self.w.disagree("referees", f"nothing reads {line}")

    def read(self):
        for part in (self.caller, self.parameters, self.quotas):
            self.w.reads(part.__name__, part)
        return 0

    def caller(self):
        w, api = self.w, self.w.client("sts")
        me = api.get_caller_identity()
        w.expect("sts account", "111122223333", me["Account"])
        session = api.assume_role(RoleArn="arn:aws:iam::111122223333:role/referees-guest-operators", RoleSessionName="referee")
        w.expect("sts session", True, session["AssumedRoleUser"]["Arn"].endswith("assumed-role/referees-guest-operators/referee"))
        w.fails("sts", "assume_role", "AccessDenied", RoleArn="arn:aws:iam::111122223333:role/no-such", RoleSessionName="referee")

    def parameters(self):
        w, api = self.w, self.w.client("ssm")
        root = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia/recommended"
        below = w.pages("ssm", "get_parameters_by_path", "Parameters", 1, Path=root, Recursive=True)
        w.expect("ssm by path, in pages", below, w.pages("ssm", "get_parameters_by_path", "Parameters", Path=root, Recursive=True))
        w.expect("ssm by path", True, bool(below))
        for p in below:
            w.expect(f"ssm {p['Name']}", p, api.get_parameter(Name=p["Name"])["Parameter"])
        both = api.get_parameters(Names=[below[0]["Name"], "/no/such"])
        w.expect("ssm GetParameters", ([below[0]], ["/no/such"]), (both["Parameters"], both["InvalidParameters"]))
        w.fails("ssm", "get_parameter", "ParameterNotFound", Name="/no/such")

    def quotas(self):
        w, api = self.w, self.w.client("servicequotas")
        services = w.pages("servicequotas", "list_services", "Services", 1)
        for s in services:
            code = s["ServiceCode"]
            applied = w.pages("servicequotas", "list_service_quotas", "Quotas", 2, ServiceCode=code)
            defaults = w.pages("servicequotas", "list_aws_default_service_quotas", "Quotas", 2, ServiceCode=code)
            w.expect(f"quotas of {code}", {q["QuotaCode"] for q in applied}, {q["QuotaCode"] for q in defaults})
            for q in applied:
                w.expect(f"quota {q['QuotaCode']}", q, api.get_service_quota(ServiceCode=code, QuotaCode=q["QuotaCode"])["Quota"])
            for q in defaults:
                w.expect(f"default quota {q['QuotaCode']}", q, api.get_aws_default_service_quota(ServiceCode=code, QuotaCode=q["QuotaCode"])["Quota"])
        w.fails("servicequotas", "get_service_quota", "NoSuchResourceException", ServiceCode="ec2", QuotaCode="L-FFFFFFFF")

    def gone(self, held):
        pass
