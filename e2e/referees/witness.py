"""Sees every call that boto3 makes: judges its reply and counts it."""

import collections
import json
import traceback

import boto3
import botocore.config

import shapes

# What the services are called here and by botocore.
BOTOCORE = {"logs": "logs", "servicequotas": "service-quotas"}

# Errors that a service may answer to any call, by the "Common errors" pages of
# the API references. No model declares them.
COMMON_ERRORS = {
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Throttling", "ThrottlingException", "RequestLimitExceeded",
    "ValidationError", "ValidationException", "InvalidAction", "UnknownOperationException", "InternalFailure", "InternalError",
    "ServiceUnavailable", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
}


def declared(model):
    """The codes of the errors that an operation declares."""
    return {s.error_code for s in model.error_shapes} | {s.name for s in model.error_shapes}


def undeclared(model, code):
    """Whether the operation's model rules an error code out. EC2's declares none, S3's hardly any."""
    return model.service_model.service_name not in ("ec2", "s3") and code not in declared(model) | COMMON_ERRORS


class Witness:
    def __init__(self, environment, region):
        self.session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"], aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"], region_name=region)
        self.endpoint = environment["AWS_ENDPOINT_URL"]
        self.called = collections.Counter()  # "service:Operation"
        self.refused = collections.Counter()
        self.disagreements = []
        self.clients = {}

    def client(self, service):
        """The client of a service, by its name in the local cloud."""
        if service not in self.clients:
            client = self.session.client(BOTOCORE.get(service, service), endpoint_url=self.endpoint, config=botocore.config.Config(
                retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))
            client.meta.events.register("after-call", lambda model, parsed, http_response, **_: self.see(service, model, parsed, http_response))
            self.clients[service] = client
        return self.clients[service]

    def disagree(self, where, what):
        line = f"{where}: {what}"
        if line not in self.disagreements:
            self.disagreements.append(line)

    def expect(self, where, want, got):
        if want != got:
            self.disagree(where, f"wanted {short(want)}, got {short(got)}")

    def see(self, service, model, parsed, http):
        where = f"{service}:{model.name}"
        self.called[where] += 1
        if http.status_code >= 300:
            self.refused[where] += 1
            code = parsed.get("Error", {}).get("Code", "")
            if not code:
                self.disagree(where, f"an error without a code: HTTP {http.status_code}")
            # A service that spoke query before gives the code of that time; the model's is beside it.
            elif undeclared(model, parsed["Error"].get("QueryErrorCode", code)):
                self.disagree(where, f"error {code} is not declared")
            return
        if model.output_shape is None:
            return
        for problem in shapes.problems(model.output_shape, parsed):
            self.disagree(where, problem)
        if "json" in model.service_model.metadata["protocol"] and http.content:
            self.unknown(where, model.output_shape, json.loads(http.content))

    def unknown(self, where, shape, raw, path=""):
        """Finds members of a JSON reply that the model does not know; botocore passes them over."""
        if isinstance(raw, dict) and shape.type_name == "structure":
            wire = {m.serialization.get("name", n): m for n, m in shape.members.items()}
            for name, value in raw.items():
                if name not in wire:
                    self.disagree(where, f"{path}.{name}: not in the model")
                else:
                    self.unknown(where, wire[name], value, f"{path}.{name}")
        elif isinstance(raw, list) and shape.type_name == "list":
            for item in raw:
                self.unknown(where, shape.member, item, f"{path}[]")

    def fails(self, service, operation, codes, /, **params):
        """Wants one of some errors of a call."""
        client = self.client(service)
        try:
            getattr(client, operation)(**params)
        except client.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in codes.split():
                self.disagree(f"{service}:{operation}", f"wanted {codes}, got {code}: {error.response['Error'].get('Message')}")
            return
        self.disagree(f"{service}:{operation}", f"wanted {codes}, got success for {params}")

    def pages(self, service, operation, key, size=None, /, **params):
        """Everything that an operation lists, through all of its pages."""
        client = self.client(service)
        if not client.can_paginate(operation):
            return getattr(client, operation)(**params)[key]
        config = {} if size is None else {"PageSize": size}
        out = []
        try:
            for page in client.get_paginator(operation).paginate(PaginationConfig=config, **params):
                items = page.get(key, [])
                if size is not None and len(items) > size:
                    self.disagree(f"{service}:{operation}", f"a page of {len(items)} where {size} were asked for")
                out += items
        except client.exceptions.ClientError as error:
            self.disagree(f"{service}:{operation}", f"{error} for {short(params)}")
        return out

    def reads(self, what, read):
        """Runs a part of the reading; what breaks it is a disagreement."""
        try:
            return read() or 0
        except Exception as error:  # whatever it is, the replies were not as they had to be
            self.disagree(what, "".join(traceback.format_exception_only(error)).strip() + " at " + traceback.format_tb(error.__traceback__)[-1].strip())
            return 0


def short(value):
    text = json.dumps(value, default=str, sort_keys=True) if not isinstance(value, str) else value
    return text if len(text) < 500 else text[:500] + "…"


def tags(items):
    """Tags as a map, whichever way a service writes them."""
    if isinstance(items, dict):
        return dict(items)
    return {t.get("Key", t.get("key")): t.get("Value", t.get("value")) for t in items or []}
