"""Reads everything that EC2 holds, in every way that its API offers."""

import dataclasses

import jmespath

from witness import tags


@dataclasses.dataclass
class Kind:
    """A kind of resource and how it is described.

    name is the local cloud's inventory's; filters say at which place of an item the
    value is that a filter compares (EC2 API reference, the operations' own pages).
    """
    name: str
    operation: str
    items: str  # of a reply
    id: str
    ids: str  # the parameter that names ids
    missing: str  # the error for one that does not exist
    filters: dict
    absent: str = ""  # an id that does not exist
    filter_parameter: str = "Filters"
    type: str = ""  # of DescribeTags; name if empty
    sizes: tuple = (5,)  # of pages; the least that the API takes
    alive: str = ""  # an expression that is false for what only remains visible


KINDS = [
    Kind("vpc", "describe_vpcs", "Vpcs", "VpcId", "VpcIds", "InvalidVpcID.NotFound", {
        "vpc-id": "VpcId", "state": "State", "cidr": "CidrBlock", "dhcp-options-id": "DhcpOptionsId", "is-default": "IsDefault", "owner-id": "OwnerId",
        "cidr-block-association.cidr-block": "CidrBlockAssociationSet[].CidrBlock"}),
    Kind("subnet", "describe_subnets", "Subnets", "SubnetId", "SubnetIds", "InvalidSubnetID.NotFound", {
        "subnet-id": "SubnetId", "vpc-id": "VpcId", "state": "State", "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId", "cidr-block": "CidrBlock", "default-for-az": "DefaultForAz", "owner-id": "OwnerId",
        "map-public-ip-on-launch": "MapPublicIpOnLaunch", "subnet-arn": "SubnetArn"}),
    Kind("internet-gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId", "InternetGatewayIds", "InvalidInternetGatewayID.NotFound", {
        "internet-gateway-id": "InternetGatewayId", "attachment.vpc-id": "Attachments[].VpcId", "attachment.state": "Attachments[].State", "owner-id": "OwnerId"},
        "igw-0ffffffffffffffff"),
    Kind("nat-gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId", "NatGatewayIds", "NatGatewayNotFound", {
        "nat-gateway-id": "NatGatewayId", "vpc-id": "VpcId", "subnet-id": "SubnetId", "state": "State"},
        "nat-0ffffffffffffffff", filter_parameter="Filter", type="natgateway", alive="State != 'deleted'"),
    Kind("elastic-ip", "describe_addresses", "Addresses", "AllocationId", "AllocationIds", "InvalidAllocationID.NotFound", {
        "allocation-id": "AllocationId", "association-id": "AssociationId", "domain": "Domain", "public-ip": "PublicIp",
        "network-interface-id": "NetworkInterfaceId", "private-ip-address": "PrivateIpAddress"},
        "eipalloc-0ffffffffffffffff", sizes=()),
    Kind("route-table", "describe_route_tables", "RouteTables", "RouteTableId", "RouteTableIds", "InvalidRouteTableID.NotFound", {
        "route-table-id": "RouteTableId", "vpc-id": "VpcId", "association.main": "Associations[].Main", "association.subnet-id": "Associations[].SubnetId",
        "association.route-table-association-id": "Associations[].RouteTableAssociationId", "route.nat-gateway-id": "Routes[].NatGatewayId",
        "route.gateway-id": "Routes[].GatewayId", "route.destination-cidr-block": "Routes[].DestinationCidrBlock", "owner-id": "OwnerId"},
        "rtb-0ffffffffffffffff"),
    Kind("vpc-endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", "VpcEndpointIds", "InvalidVpcEndpointId.NotFound", {
        "vpc-endpoint-id": "VpcEndpointId", "vpc-id": "VpcId", "service-name": "ServiceName", "vpc-endpoint-state": "State", "vpc-endpoint-type": "VpcEndpointType"},
        "vpce-0ffffffffffffffff"),
    Kind("security-group", "describe_security_groups", "SecurityGroups", "GroupId", "GroupIds", "InvalidGroup.NotFound", {
        "group-id": "GroupId", "group-name": "GroupName", "vpc-id": "VpcId", "description": "Description", "owner-id": "OwnerId",
        "ip-permission.cidr": "IpPermissions[].IpRanges[].CidrIp", "ip-permission.group-id": "IpPermissions[].UserIdGroupPairs[].GroupId",
        "ip-permission.protocol": "IpPermissions[].IpProtocol", "ip-permission.from-port": "IpPermissions[].FromPort"},
        "sg-0ffffffffffffffff"),
    Kind("security-group-rule", "describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId", "SecurityGroupRuleIds",
         "InvalidSecurityGroupRuleId.NotFound", {"security-group-rule-id": "SecurityGroupRuleId", "group-id": "GroupId"}, "sgr-0ffffffffffffffff"),
    Kind("network-interface", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", "NetworkInterfaceIds", "InvalidNetworkInterfaceID.NotFound", {
        "network-interface-id": "NetworkInterfaceId", "vpc-id": "VpcId", "subnet-id": "SubnetId", "status": "Status", "description": "Description",
        "group-id": "Groups[].GroupId", "group-name": "Groups[].GroupName", "attachment.instance-id": "Attachment.InstanceId",
        "attachment.status": "Attachment.Status", "attachment.attachment-id": "Attachment.AttachmentId", "availability-zone": "AvailabilityZone",
        "interface-type": "InterfaceType", "requester-managed": "RequesterManaged", "private-ip-address": "PrivateIpAddress", "mac-address": "MacAddress",
        "addresses.private-ip-address": "PrivateIpAddresses[].PrivateIpAddress", "association.public-ip": "Association.PublicIp", "owner-id": "OwnerId"},
        "eni-0ffffffffffffffff"),
    Kind("launch-template", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId", "LaunchTemplateIds", "InvalidLaunchTemplateId.NotFound", {
        "launch-template-name": "LaunchTemplateName"}, "lt-0ffffffffffffffff", sizes=(1, 2)),
    Kind("instance", "describe_instances", "Reservations[].Instances[]", "InstanceId", "InstanceIds", "InvalidInstanceID.NotFound", {
        "instance-id": "InstanceId", "vpc-id": "VpcId", "subnet-id": "SubnetId", "instance-type": "InstanceType", "instance-state-name": "State.Name",
        "availability-zone": "Placement.AvailabilityZone", "private-ip-address": "PrivateIpAddress", "private-dns-name": "PrivateDnsName",
        "image-id": "ImageId", "instance-lifecycle": "InstanceLifecycle", "iam-instance-profile.arn": "IamInstanceProfile.Arn",
        "network-interface.network-interface-id": "NetworkInterfaces[].NetworkInterfaceId", "instance.group-id": "SecurityGroups[].GroupId",
        "block-device-mapping.volume-id": "BlockDeviceMappings[].Ebs.VolumeId"},
        "i-0ffffffffffffffff", alive="State.Name != 'terminated'"),
    Kind("volume", "describe_volumes", "Volumes", "VolumeId", "VolumeIds", "InvalidVolume.NotFound", {
        "volume-id": "VolumeId", "status": "State", "availability-zone": "AvailabilityZone", "size": "Size", "volume-type": "VolumeType", "encrypted": "Encrypted",
        "attachment.instance-id": "Attachments[].InstanceId", "attachment.status": "Attachments[].State", "attachment.device": "Attachments[].Device",
        "attachment.delete-on-termination": "Attachments[].DeleteOnTermination"}, "vol-0ffffffffffffffff"),
    Kind("capacity-reservation", "describe_capacity_reservations", "CapacityReservations", "CapacityReservationId", "CapacityReservationIds",
         "InvalidCapacityReservationId.NotFound", {"instance-type": "InstanceType", "state": "State", "availability-zone": "AvailabilityZone"},
         "cr-0ffffffffffffffff", sizes=(1,), alive="State == 'active'"),
    Kind("placement-group", "describe_placement_groups", "PlacementGroups", "GroupId", "GroupIds", "InvalidPlacementGroup.Unknown", {
        "group-name": "GroupName", "state": "State", "strategy": "Strategy"}, "pg-0ffffffffffffffff", sizes=()),
]


class EC2:
    NAME = "ec2"

    def __init__(self, witness, inventory):
        self.w, self.api = witness, witness.client("ec2")
        self.held = {}
        for line in inventory["ec2"]:
            kind, place, *_ = line.split(" ")
            self.held.setdefault(kind.removeprefix("ec2/"), []).append(place.split("/", 1)[1])

    def describe(self, kind, size=None, **params):
        root = kind.items.split("[")[0]
        found = self.w.pages("ec2", kind.operation, root, size, **params)
        return jmespath.search(kind.items, {root: found})

    def read(self):
        """Reads all kinds and returns how many resources there are."""
        for name in self.held.keys() - {k.name for k in KINDS}:
            self.w.disagree("referees", f"nothing reads ec2/{name}")
        count = sum(self.w.reads(f"ec2 {kind.name}", lambda: self.read_kind(kind)) for kind in KINDS)
        for part in (self.templates, self.attributes, self.zones, self.running, self.catalogue):
            self.w.reads(f"ec2 {part.__name__}", part)
        return count

    def read_kind(self, kind):
        where, w = f"ec2 {kind.name}", self.w
        everything = self.describe(kind)
        by_id = {i[kind.id]: i for i in everything}
        alive = {i: x for i, x in by_id.items() if not kind.alive or jmespath.search(kind.alive, x)}
        w.expect(f"{where}, without repetition", len(everything), len(by_id))
        if kind.name != "security-group-rule":
            w.expect(f"{where}, all against the inventory", sorted(self.held.get(kind.name, [])), sorted(i for i in alive if not self.aws_own(kind, by_id[i])))
        for size in kind.sizes:
            w.expect(f"{where}, in pages of {size}", sorted(by_id), sorted(i[kind.id] for i in self.describe(kind, size)))
        if by_id:
            w.expect(f"{where}, by all ids", sorted(by_id), sorted(i[kind.id] for i in self.describe(kind, **{kind.ids: list(by_id)})))
        for i, item in by_id.items():
            w.expect(f"{where}, by the id {i}", [item], self.describe(kind, **{kind.ids: [i]}))
        for name, place in kind.filters.items():
            self.filtered(kind, everything, name, lambda item: jmespath.search(place, item))
        self.read_tags(kind, everything)
        absent = kind.absent or f"{kind.name}-0ffffffffffffffff"
        w.fails("ec2", kind.operation, kind.missing, **{kind.ids: [absent]})
        return len(alive)

    def aws_own(self, kind, item):
        """What AWS makes with a VPC is not in the inventory."""
        return kind.name == "security-group" and item["GroupName"] == "default" or \
            kind.name == "route-table" and any(a["Main"] for a in item["Associations"])

    def filtered(self, kind, items, name, values):
        """A filter has to select exactly the items that have its value."""
        def of(item):
            v = values(item)
            return {written(x) for x in (v if isinstance(v, list) else [v]) if x is not None and x != ""}
        for value in sorted(set().union(*map(of, items))) if items else []:
            want = sorted(i[kind.id] for i in items if value in of(i))
            escaped = value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")
            got = self.describe(kind, **{kind.filter_parameter: [{"Name": name, "Values": [escaped]}]})
            self.w.expect(f"ec2 {kind.name}, filter {name}={value}", want, sorted(i[kind.id] for i in got))
        # EC2 refuses what is no VPC's id in this filter of security groups.
        absent = "vpc-00000000000000000" if (kind.name, name) == ("security-group", "vpc-id") else "no-such-value"
        got = self.describe(kind, **{kind.filter_parameter: [{"Name": name, "Values": [absent]}]})
        self.w.expect(f"ec2 {kind.name}, filter {name}={absent}", [], [i[kind.id] for i in got])

    def read_tags(self, kind, items):
        """Tags of the description, of DescribeTags and of the filters are the same."""
        for key in sorted({k for i in items for k in tags_of(i)}):
            if kind.filter_parameter:
                self.filtered(kind, items, "tag:" + key, lambda item: tags_of(item).get(key))
        self.filtered(kind, items, "tag-key", lambda item: list(tags_of(item)))
        type_name = kind.type or kind.name
        listed = {}
        for t in self.w.pages("ec2", "describe_tags", "Tags", 5, Filters=[{"Name": "resource-type", "Values": [type_name]}]):
            self.w.expect("ec2 DescribeTags, type", type_name, t["ResourceType"])
            listed.setdefault(t["ResourceId"], {})[t["Key"]] = t["Value"]
        own = {i[kind.id]: tags_of(i) for i in items if tags_of(i)}
        self.w.expect(f"ec2 {kind.name}, DescribeTags", own, {i: t for i, t in listed.items() if i in own or t})
        for i, t in own.items():
            got = self.w.pages("ec2", "describe_tags", "Tags", Filters=[{"Name": "resource-id", "Values": [i]}])
            self.w.expect(f"ec2 {i}, DescribeTags", t, tags(got))

    def templates(self):
        """Launch templates by name, and their versions."""
        w = self.w
        for t in w.pages("ec2", "describe_launch_templates", "LaunchTemplates"):
            i, name = t["LaunchTemplateId"], t["LaunchTemplateName"]
            w.expect(f"ec2 {i}, by name", [t], w.pages("ec2", "describe_launch_templates", "LaunchTemplates", LaunchTemplateNames=[name]))
            versions = w.pages("ec2", "describe_launch_template_versions", "LaunchTemplateVersions", 1, LaunchTemplateId=i)
            w.expect(f"ec2 {i}, versions", t["LatestVersionNumber"], max(v["VersionNumber"] for v in versions))
            w.expect(f"ec2 {i}, default version", [t["DefaultVersionNumber"]], [v["VersionNumber"] for v in versions if v["DefaultVersion"]])
            by_name = w.pages("ec2", "describe_launch_template_versions", "LaunchTemplateVersions", LaunchTemplateName=name, Versions=["$Latest"])
            w.expect(f"ec2 {i}, $Latest by name", [v for v in versions if v["VersionNumber"] == t["LatestVersionNumber"]], by_name)
        w.fails("ec2", "describe_launch_templates", "InvalidLaunchTemplateName.NotFoundException", LaunchTemplateNames=["no-such"])
        w.fails("ec2", "describe_launch_template_versions", "InvalidLaunchTemplateId.NotFound", LaunchTemplateId="lt-0ffffffffffffffff")

    def attributes(self):
        """What describes no resource of the account's own, or only one side of it."""
        w, api = self.w, self.api
        for v in api.describe_vpcs()["Vpcs"]:
            for name, member in {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}.items():
                got = api.describe_vpc_attribute(VpcId=v["VpcId"], Attribute=name)
                w.expect(f"ec2 {v['VpcId']} {name}", (v["VpcId"], bool), (got["VpcId"], type(got[member]["Value"])))
            options = api.describe_dhcp_options(DhcpOptionsIds=[v["DhcpOptionsId"]])["DhcpOptions"]
            w.expect(f"ec2 {v['VpcId']}, DHCP options", [v["DhcpOptionsId"]], [o["DhcpOptionsId"] for o in options])
        subnets = {s["SubnetId"]: s["VpcId"] for s in api.describe_subnets()["Subnets"]}
        acls = w.pages("ec2", "describe_network_acls", "NetworkAcls", 5)
        w.expect("ec2 network ACLs, their subnets", subnets, {a["SubnetId"]: acl["VpcId"] for acl in acls for a in acl["Associations"]})

    def zones(self):
        w, api = self.w, self.api
        regions = [r["RegionName"] for r in api.describe_regions()["Regions"]]
        w.expect("ec2 DescribeRegions by name", [api.meta.region_name], [r["RegionName"] for r in api.describe_regions(RegionNames=[api.meta.region_name])["Regions"]])
        w.expect("ec2 DescribeRegions, this one", True, api.meta.region_name in regions)
        zones = api.describe_availability_zones()["AvailabilityZones"]
        for z in zones:
            w.expect("ec2 DescribeAvailabilityZones by name", [z], api.describe_availability_zones(ZoneNames=[z["ZoneName"]])["AvailabilityZones"])
            w.expect("ec2 DescribeAvailabilityZones by id", [z], api.describe_availability_zones(ZoneIds=[z["ZoneId"]])["AvailabilityZones"])
        w.fails("ec2", "describe_availability_zones", "InvalidParameterValue", ZoneNames=["nowhere-1a"])

    def running(self):
        w, api = self.w, self.api
        instances = [i for i in self.describe(next(k for k in KINDS if k.name == "instance"))]
        running = sorted(i["InstanceId"] for i in instances if i["State"]["Name"] == "running")
        w.expect("ec2 DescribeInstanceStatus", running, sorted(s["InstanceId"] for s in w.pages("ec2", "describe_instance_status", "InstanceStatuses", 5)))
        w.expect("ec2 DescribeInstanceStatus, all", sorted(i["InstanceId"] for i in instances),
                 sorted(s["InstanceId"] for s in w.pages("ec2", "describe_instance_status", "InstanceStatuses", IncludeAllInstances=True)))
        for image in sorted({i["ImageId"] for i in instances}):
            w.expect(f"ec2 {image}", [image], [i["ImageId"] for i in api.describe_images(ImageIds=[image])["Images"]])
        w.fails("ec2", "describe_images", "InvalidAMIID.NotFound", ImageIds=["ami-0ffffffffffffffff"])

    def catalogue(self):
        """What EC2 offers."""
        w, api = self.w, self.api
        zones = [z["ZoneName"] for z in api.describe_availability_zones()["AvailabilityZones"]]
        api.describe_account_attributes()
        names = [a["AttributeName"] for a in api.describe_account_attributes(AttributeNames=["supported-platforms"])["AccountAttributes"]]
        w.expect("ec2 DescribeAccountAttributes", ["supported-platforms"], names)
        types = w.pages("ec2", "describe_instance_types", "InstanceTypes", 100)
        one = w.pages("ec2", "describe_instance_types", "InstanceTypes", InstanceTypes=["g5.xlarge"])
        w.expect("ec2 DescribeInstanceTypes, one", [t for t in types if t["InstanceType"] == "g5.xlarge"], one)
        gpus = w.pages("ec2", "describe_instance_types", "InstanceTypes", Filters=[{"Name": "instance-type", "Values": ["p4*"]}])
        w.expect("ec2 DescribeInstanceTypes, p4*", [t for t in types if t["InstanceType"].startswith("p4")], gpus)
        w.fails("ec2", "describe_instance_types", "InvalidInstanceType", InstanceTypes=["g5.huge"])
        offered = w.pages("ec2", "describe_instance_type_offerings", "InstanceTypeOfferings", 100, LocationType="availability-zone")
        w.expect("ec2 offerings, their zones", True, {o["Location"] for o in offered} <= set(zones))
        some = w.pages("ec2", "describe_instance_type_offerings", "InstanceTypeOfferings", LocationType="availability-zone",
                       Filters=[{"Name": "instance-type", "Values": ["g5.xlarge"]}])
        w.expect("ec2 offerings, filtered", [o for o in offered if o["InstanceType"] == "g5.xlarge"], some)
        w.expect("ec2 offerings of the region", {o["InstanceType"] for o in offered},
                 {o["InstanceType"] for o in w.pages("ec2", "describe_instance_type_offerings", "InstanceTypeOfferings")})
        prices = w.pages("ec2", "describe_spot_price_history", "SpotPriceHistory", 50, InstanceTypes=["g5.xlarge"], ProductDescriptions=["Linux/UNIX"])
        w.expect("ec2 spot prices", True, bool(prices) and all(float(p["SpotPrice"]) > 0 for p in prices))
        for p in w.pages("ec2", "describe_prefix_lists", "PrefixLists", 5):
            w.expect(f"ec2 {p['PrefixListId']}", [p], w.pages("ec2", "describe_prefix_lists", "PrefixLists", PrefixListIds=[p["PrefixListId"]]))
        services = api.describe_vpc_endpoint_services()["ServiceNames"]
        s3 = f"com.amazonaws.{api.meta.region_name}.s3"
        w.expect("ec2 endpoint services", (True, [s3]), (s3 in services, api.describe_vpc_endpoint_services(
            Filters=[{"Name": "service-name", "Values": [s3]}, {"Name": "service-type", "Values": ["Gateway"]}])["ServiceNames"]))

    def gone(self, held):
        """After a teardown none of what was held is there, nor anything else."""
        for kind in KINDS:
            left = {i[kind.id]: i for i in self.describe(kind)}
            for i in held.get(kind.name, []):
                if i not in left:
                    self.w.fails("ec2", kind.operation, kind.missing, **{kind.ids: [i]})
            alive = [i for i, x in left.items() if not self.aws_own(kind, x) and (not kind.alive or jmespath.search(kind.alive, x))]
            self.w.expect(f"ec2 {kind.name} after teardown", [], alive)


def tags_of(item):
    return tags(item.get("Tags", item.get("TagSet")))


def written(value):
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
