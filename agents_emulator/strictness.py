"""Validation of requests against the published schemas (`schemas/requests.json`, derived from them).

What the successor's wire has besides is in `schemas/successor.json`, written by hand: of what lies below
`/openai/v1` there is no published document, so it holds the names and types that the official clients send.

Errors have the service's shape and name the parameter. Only the outermost names of a body are closed: further
in the wire knows more than the published document (`strict` of a function, `allowed_tools` of an MCP server),
and a tool type that the document does not know may be newer than it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from agents_emulator.errors import ServiceError, bad_request, missing_parameter

MAX_DEPTH = 100
"""Nested arrays and objects of a request body; deeper ones are refused before anything walks them."""

_TYPE_NAMES = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_SHOWN_CHARACTERS = 80


@functools.cache
def _schemas() -> dict[str, Any]:
    folder = resources.files("agents_emulator").joinpath("schemas")
    classic, successor = (
        json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
        for name in ("requests.json", "successor.json")
    )
    return {key: {**classic[key], **successor[key]} for key in ("operations", "$defs")}


def operation_names() -> list[str]:
    """Return the names of all operations of both wires, as in the request log."""
    return list(_schemas()["operations"])


@functools.cache
def _body_validator(operation: str) -> Draft202012Validator | None:
    schema = _schemas()["operations"][operation].get("body")
    if schema is None:
        return None
    closed = {**schema, "additionalProperties": False, "$defs": _schemas()["$defs"]}
    return Draft202012Validator(closed)


@functools.cache
def _query_validators(operation: str) -> dict[str, Draft202012Validator]:
    query = _schemas()["operations"][operation]["query"]
    return {
        name: Draft202012Validator({**schema, "$defs": _schemas()["$defs"]}) for name, schema in query.items()
    }


def check_body(operation: str, body: Any) -> None:
    """Raise the service's 400 unless `body` is what the published schema of the operation allows.

    An absent body counts as `{}`; operations that take no body ignore one.
    """
    validator = _body_validator(operation)
    if validator is None:
        return
    error = next(iter(validator.iter_errors({} if body is None else body)), None)
    if error is not None:
        raise _refusal(_innermost(error))


def check_query(operation: str, parameters: Iterable[tuple[str, str]]) -> None:
    """Raise the service's 400 unless known query parameters have allowed values; others are ignored."""
    validators = _query_validators(operation)
    for name, text in parameters:
        validator = validators.get(name)
        if validator is None:
            continue
        error = next(iter(validator.iter_errors(_query_value(validator.schema, text))), None)
        if error is not None:
            raise _refusal(_innermost(error), name)


def _query_value(schema: Any, text: str) -> Any:
    """A query parameter as the schema's type; an array is spelled by repeating its name."""
    kind = schema.get("type")
    if kind == "array":
        return [text]
    digits = text.removeprefix("-")
    if kind == "integer" and digits.isascii() and digits.isdecimal() and len(digits) < 10:
        return int(text)
    return text


def check_depth(value: Any) -> None:
    """Raise the service's 400 if arrays and objects are nested more than `MAX_DEPTH` deep."""
    level, depth = [value], 0
    while level:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += [child for child in item.values() if isinstance(child, dict | list)]
            elif isinstance(item, list):
                inner += [child for child in item if isinstance(child, dict | list)]
        level, depth = inner, depth + 1
        if depth > MAX_DEPTH:
            raise bad_request(
                f"The JSON body of your request is nested more than {MAX_DEPTH} levels deep.",
                code="invalid_json",
            )


def _innermost(error: ValidationError) -> ValidationError:
    """Follow a choice between schemas to the branch that the value was meant for."""
    while error.validator == "anyOf" and error.context:
        # A branch whose type does not fit at all was not meant.
        meant = [
            inner
            for inner in error.context
            if len(inner.absolute_path) > len(error.absolute_path)
            or (
                inner.validator not in ("type", "const")
                and not (inner.validator == "enum" and not _is_text(inner))
            )
        ]
        if not meant:
            return error
        error = max(meant, key=lambda inner: len(inner.absolute_path))
    return error


def _is_text(error: ValidationError) -> bool:
    return isinstance(error.instance, str)


def _refusal(error: ValidationError, inside: str = "") -> ServiceError:
    param = _name(error.absolute_path, inside)
    limit: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    if error.validator == "required":
        missing = next(name for name in limit if name not in value)
        return missing_parameter(f"{param}.{missing}" if param else missing)
    if error.validator == "additionalProperties":
        unknown = next(name for name in value if name not in schema["properties"])
        name = unknown[:_SHOWN_CHARACTERS]
        return bad_request(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if error.validator in ("enum", "const"):
        supported = ", ".join(f"'{item}'" for item in (limit if error.validator == "enum" else [limit]))
        return bad_request(
            f"Invalid value for '{param}': '{str(value)[:_SHOWN_CHARACTERS]}'. "
            f"Supported values are: {supported}.",
            param=param,
            code="invalid_value",
        )
    if not param:
        return bad_request("The request body must be a JSON object.", code="invalid_type")
    return bad_request(
        f"Invalid type for '{param}': expected {_expected(error)}, but got {_kind(error.instance)} instead.",
        param=param,
        code="invalid_type",
    )


def _name(path: Iterable[str | int], inside: str) -> str:
    name = inside
    for part in path:
        if isinstance(part, int):
            name += "" if inside else f"[{part}]"
        else:
            name += f".{part}" if name else part[:_SHOWN_CHARACTERS]
    return name


def _expected(error: ValidationError) -> str:
    """The types that would do, in words."""
    failed = [error] if error.validator == "type" else error.context or []
    kinds: list[Any] = [inner.validator_value for inner in failed if inner.validator == "type"]
    names = [name for kind in kinds for name in ([kind] if isinstance(kind, str) else kind) if name != "null"]
    return " or ".join(_TYPE_NAMES[name] for name in dict.fromkeys(names)) or "another value"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
