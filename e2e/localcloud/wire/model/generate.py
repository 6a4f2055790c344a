#!/usr/bin/env python3
"""Makes table.json.gz from botocore's service models, for the operations in operations.txt.

Run by hand, never by a build:

    python3 -m venv /tmp/botocore && /tmp/botocore/bin/pip install botocore==1.43.126
    /tmp/botocore/bin/python generate.py [DATE]

DATE (YYYY-MM-DD) is of what day the models are and goes into the table; today when left out.
The SDK modules in go.mod should be of about the same date: a test fails when a member of the
table has no field in the SDK's types, or when the SDK sends a member that the table lacks.

The table holds what the wire layer needs and no more: documentation and examples are left out,
and constraints (required, enum, pattern, min, max) are kept only for shapes that a request can
contain.
"""

import datetime
import gzip
import json
import pathlib
import re
import sys

import botocore
import botocore.session

HERE = pathlib.Path(__file__).parent

# Enums that the models always lag behind, or that a service is wider than (SQS takes names of
# message attributes where the model has those of queues): the service itself says what it knows.
OPEN_ENUMS = {"InstanceType", "QueueAttributeName"}

SHAPE_KEYS = {"type", "flattened", "timestampFormat", "payload", "document", "union"}
CONSTRAINTS = {"required", "enum", "pattern", "min", "max"}
MEMBER_KEYS = {"shape", "locationName", "queryName", "location", "flattened", "timestampFormat", "idempotencyToken"}


def main():
    date = sys.argv[1] if len(sys.argv) > 1 else datetime.date.today().isoformat()
    loader = botocore.session.get_session().get_component("data_loader")
    services = {}
    for name, (source, wanted) in read_operations().items():
        services[name] = service_table(loader, source, wanted)
    table = {"botocore": botocore.__version__, "date": date, "services": services}
    text = json.dumps(table, separators=(",", ":"), sort_keys=True)
    with open(HERE / "table.json.gz", "wb") as out:
        # No name and no time, so that the same models give the same bytes.
        with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=9, mtime=0) as zipped:
            zipped.write(text.encode())
    operations = sum(len(s["operations"]) for s in services.values())
    shapes = sum(len(s["shapes"]) for s in services.values())
    size = (HERE / "table.json.gz").stat().st_size
    print(f"{operations} operations, {shapes} shapes, {len(text)} bytes, {size} gzipped")


def read_operations():
    """Returns {service: (botocore's name, [operations])}."""
    services, current = {}, None
    for line in (HERE / "operations.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if heading := re.fullmatch(r"\[(\S+) (\S+)\]", line):
            current = services[heading[1]] = (heading[2], [])
        elif line:
            current[1].extend(line.split())
    return services


def service_table(loader, source, wanted):
    model = loader.load_service_model(source, "service-2")
    try:
        paginators = loader.load_service_model(source, "paginators-1")["pagination"]
    except botocore.exceptions.UnknownServiceError:
        paginators = {}
    if wanted == ["*"]:
        wanted = list(model["operations"])
    meta = model["metadata"]
    table = {
        "protocol": meta["protocol"],
        "version": meta["apiVersion"],
        "signingName": meta.get("signingName", meta["endpointPrefix"]),
        "serviceID": meta["serviceId"],
        "operations": {name: operation(model["operations"][name], paginators.get(name)) for name in wanted},
    }
    for key in ("targetPrefix", "xmlNamespace"):
        if key in meta:
            table[key] = meta[key]
    inputs, outputs = set(), set()
    for op in table["operations"].values():
        reach(model["shapes"], op.get("input"), inputs)
        for root in (op.get("output"), *op.get("errors", ())):
            reach(model["shapes"], root, outputs)
    table["shapes"] = {n: shape(n, model["shapes"][n], n in inputs) for n in inputs | outputs}
    return table


def operation(op, paginator):
    out = {"method": op["http"]["method"], "uri": op["http"]["requestUri"]}
    if (code := op["http"].get("responseCode", 200)) != 200:
        out["code"] = code
    for key in ("input", "output"):
        if key in op:
            out[key] = op[key]["shape"]
    if "resultWrapper" in op.get("output", {}):
        out["resultWrapper"] = op["output"]["resultWrapper"]
    if op.get("errors"):
        out["errors"] = [e["shape"] for e in op["errors"]]
    if op.get("authtype") == "none" or op.get("auth") == ["smithy.api#noAuth"]:
        out["unsigned"] = True
    if paginator:
        out["page"] = page(paginator)
    return out


def page(p):
    """A paginator with one token; no operation in the list has more but for its result keys."""
    first = lambda v: v[0] if isinstance(v, list) else v
    results = p["result_key"] if isinstance(p["result_key"], list) else [p["result_key"]]
    out = {"in": first(p["input_token"]), "out": first(p["output_token"]), "results": results}
    if "limit_key" in p:
        out["limit"] = p["limit_key"]
    if "more_results" in p:
        out["more"] = p["more_results"]
    return out


def reach(shapes, name, seen):
    """Adds name and every shape that it contains to seen."""
    if name is None or name in seen:
        return
    seen.add(name)
    s = shapes[name]
    for ref in (*s.get("members", {}).values(), *(s[k] for k in ("member", "key", "value") if k in s)):
        reach(shapes, ref["shape"], seen)


def shape(name, s, constrained):
    out = {k: s[k] for k in SHAPE_KEYS if k in s}
    if constrained:
        out |= {k: s[k] for k in CONSTRAINTS if k in s and not (k == "enum" and name in OPEN_ENUMS)}
    if "members" in s:
        out["members"] = [[n, member(m)] for n, m in s["members"].items()]
    for key in ("member", "key", "value"):
        if key in s:
            out[key] = member(s[key])
    if s.get("exception"):
        out["exception"] = True
        out |= {"error": s["error"]} if "error" in s else {}
    return out


def member(m):
    return {k: m[k] for k in MEMBER_KEYS if k in m}


if __name__ == "__main__":
    main()
