"""Judges recorded requests by botocore's service models.

A recording (localcloud --record) has one call a line: its parameters as the local
cloud understood them, the status and the error code of the answer. Of S3 it has
the request's parts, which are taken apart here, by the model as well.
"""

import base64
import collections
import datetime
import json
import re
import urllib.parse
import xml.etree.ElementTree as ET

import botocore.session
import botocore.validate

import shapes
from witness import BOTOCORE, undeclared


class Asked:
    def __init__(self):
        self.session = botocore.session.get_session()
        self.models = {}
        self.validator = botocore.validate.ParamValidator()
        self.requests = collections.Counter()  # "service:Operation"
        self.seen = set()
        self.disagreements = []

    def model(self, service):
        if service not in self.models:
            self.models[service] = self.session.get_service_model(BOTOCORE.get(service, service))
        return self.models[service]

    def read(self, path, start=0):
        """Judges a recording from a place in it on, and returns where it ends."""
        with open(path) as lines:
            lines.seek(start)
            for line in iter(lines.readline, ""):
                self.judge(json.loads(line))
            return lines.tell()

    def judge(self, call):
        where = f"{call['service']}:{call['operation']}"
        self.requests[where] += 1
        params = call.get("params")
        key = json.dumps([where, params if call["service"] != "s3" else str(params), call.get("code")], sort_keys=True)
        if key in self.seen:
            return
        self.seen.add(key)
        try:
            model = self.model(call["service"]).operation_model(call["operation"])
        except botocore.exceptions.OperationNotFoundError:
            self.disagree(where, "no such operation")
            return
        for problem in self.problems(model, call, params):
            self.disagree(where, f"request{problem}")
        if call.get("code") and undeclared(model, call["code"]):
            self.disagree(where, f"answered with {call['code']}, which is not declared")

    def disagree(self, where, what):
        line = f"{where}: {what}"
        if line not in self.disagreements:
            self.disagreements.append(line)

    def problems(self, model, call, params):
        if call["service"] == "s3":
            if params is None:
                yield ": not recorded"
                return
            yield from request_line(model, params)
            params = s3_input(model, params)
        if params is None:
            if call["status"] < 400 and model.input_shape is not None and model.input_shape.members:
                params = {}
            elif call["status"] >= 400 and not call.get("code"):
                yield ": could not be decoded"
                return
        if model.input_shape is None:
            return
        value = typed(model.input_shape, params or {})
        report = self.validator.validate(value, model.input_shape)
        if report.has_errors():
            yield ": " + report.generate_report()
        yield from shapes.problems(model.input_shape, value)


def typed(shape, value):
    """A value from JSON in the types that botocore has for its shape."""
    kind = shape.type_name
    if kind == "structure":
        return {k: typed(shape.members[k], v) if k in shape.members else v for k, v in value.items()}
    if kind == "list":
        return [typed(shape.member, v) for v in value]
    if kind == "map":
        return {k: typed(shape.value, v) for k, v in value.items()}
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
    if kind == "blob":
        return base64.b64decode(value) if isinstance(value, str) else value
    if kind in ("float", "double") and isinstance(value, int):
        return float(value)
    return value


# S3

# Headers that are of HTTP, of signing or of the SDK, and members of no operation.
HEADERS = re.compile(r"accept.*|amz-sdk-.*|user-agent|x-amz-user-agent|x-amz-date|x-amz-content-sha256|x-amz-trailer|"
                     r"x-amz-decoded-content-length|content-.*|expect|host|connection|x-forwarded-.*|te|transfer-encoding|date")


def request_line(model, parts):
    """Method and query have to be the operation's."""
    if parts["method"] != model.http["method"]:
        yield f": {parts['method']} in place of {model.http['method']}"
    wanted = urllib.parse.parse_qs(model.http["requestUri"].partition("?")[2], keep_blank_values=True)
    members = model.input_shape.members.values() if model.input_shape else []
    known = {m.serialization["name"] for m in members if m.serialization.get("location") == "querystring"}
    for name in parts["query"]:
        if name not in known and name not in wanted and name != "x-id":
            yield f": query parameter {name} is not in the model"
    for name in wanted.keys() - parts["query"].keys():
        yield f": query parameter {name} is missing"
    headers = {m.serialization["name"].lower() for m in members if m.serialization.get("location") == "header"}
    for name in parts["headers"]:
        checksum = model.http_checksum and name.startswith("x-amz-checksum-")
        if name not in headers and not HEADERS.fullmatch(name) and not name.startswith("x-amz-meta-") and not checksum:
            yield f": header {name} is not in the model"


def s3_input(model, parts):
    """The members of a request, from path, query, headers and body."""
    shape, out = model.input_shape, {}
    if shape is None:
        return out
    bucket, _, key = parts["path"].lstrip("/").partition("/")
    labels = {"Bucket": urllib.parse.unquote(bucket), "Key": urllib.parse.unquote(key)}
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        location, wire = member.serialization.get("location"), member.serialization.get("name", name)
        if location == "uri" and labels.get(name):
            out[name] = labels[name]
        elif location == "querystring" and wire in parts["query"]:
            out[name] = scalar(member, parts["query"][wire][0])
        elif location == "header" and wire.lower() in parts["headers"]:
            out[name] = scalar(member, parts["headers"][wire.lower()])
        elif location == "headers":
            found = {k[len(wire):]: v for k, v in parts["headers"].items() if k.startswith(wire.lower())}
            if found:
                out[name] = found
        elif name == payload and "body" in parts:
            out[name] = parts["body"] if member.type_name != "structure" else from_xml(member, ET.fromstring(parts["body"]))
    return out


def scalar(shape, text):
    kind = shape.type_name
    if kind in ("integer", "long"):
        return int(text)
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind == "timestamp":
        return text
    return text


def from_xml(shape, node):
    kind = shape.type_name
    if kind == "structure":
        out = {}
        by_tag = {}
        for child in node:
            by_tag.setdefault(child.tag.rpartition("}")[2], []).append(child)
        for name, member in shape.members.items():
            wire = member.serialization.get("name", name)
            if member.type_name == "list" and member.serialization.get("flattened") and not wire in by_tag:
                wire = member.member.serialization.get("name", wire)
            if wire in by_tag:
                found = by_tag.pop(wire)
                flat = member.type_name == "list" and member.serialization.get("flattened")
                out[name] = [from_xml(member.member, c) for c in found] if flat else from_xml(member, found[0])
        return out | {tag: "" for tag in by_tag}  # of which the validator says that they are unknown
    if kind == "list":
        return [from_xml(shape.member, c) for c in node]
    return scalar(shape, node.text or "")
