"""Compares values with the shapes of botocore's service models.

botocore itself checks of a request that required members are there and that types
and lower bounds hold, and of a reply next to nothing. This looks at everything that
a model says: required members, types, enums, patterns, lengths and ranges.
"""

import datetime
import functools

import regex

NUMBERS = {"integer": int, "long": int, "float": (int, float), "double": (int, float)}

# Values that AWS answers although the enum in the model lacks them: an attached
# internet gateway is "available" (EC2 API reference, InternetGatewayAttachment).
BEYOND_ENUM = {"AttachmentStatus": {"available"}}

TYPES = {"string": str, "character": str, "boolean": bool, "timestamp": datetime.datetime, "blob": (bytes, bytearray)}


@functools.cache
def pattern_of(text):
    """A model's pattern for whole strings. It is Java's: surrogate pairs are said as code points."""
    text = text.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    return regex.compile(r"(?:%s)\Z" % text)


def problems(shape, value, path=""):
    """Yields what is wrong with a value, each with its place."""
    kind = shape.type_name
    if kind == "structure":
        yield from structure(shape, value, path)
    elif kind == "list":
        yield from bounds(shape, len(value), path, "items")
        for i, item in enumerate(value):
            yield from problems(shape.member, item, f"{path}[{i}]")
    elif kind == "map":
        for key, item in value.items():
            yield from problems(shape.key, key, f"{path} key {key!r}")
            yield from problems(shape.value, item, f"{path}[{key!r}]")
    else:
        yield from scalar(shape, value, path)


def structure(shape, value, path):
    if not isinstance(value, dict):
        yield f"{path}: {type(value).__name__} in place of a structure"
        return
    for name in shape.required_members:
        if name not in value:
            yield f"{path}.{name}: required, but absent"
    for name, item in value.items():
        if name in shape.members:
            yield from problems(shape.members[name], item, f"{path}.{name}")
        elif name != "ResponseMetadata":
            yield f"{path}.{name}: unknown"


def scalar(shape, value, path):
    kind = shape.type_name
    if kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, NUMBERS[kind]):
            yield f"{path}: {value!r} is no {kind}"
            return
        yield from bounds(shape, value, path, "")
        return
    if shape.name in ("policyDocumentType",) and isinstance(value, dict):
        return  # decoded by botocore
    if kind == "blob" and hasattr(value, "read"):
        return
    if not isinstance(value, TYPES[kind]):
        yield f"{path}: {value!r} is no {kind}"
        return
    if kind == "string":
        yield from text(shape, value, path)


def text(shape, value, path):
    if shape.enum and value not in shape.enum and value not in BEYOND_ENUM.get(shape.name, ()):
        yield f"{path}: {value!r} is not one of {', '.join(shape.enum[:12])}"
    yield from bounds(shape, len(value), path, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern and not pattern_of(pattern).match(value):
        yield f"{path}: {value!r} does not match {pattern}"


def bounds(shape, size, path, unit):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{path}: {size} {unit}, the least is {low}"
    if high is not None and size > high:
        yield f"{path}: {size} {unit}, the most is {high}"
