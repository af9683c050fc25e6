"""Answers in JSON after a pydantic model: the format to ask for."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from agent_tasks.errors import ConfigurationError
from agent_tasks.wire import ResponseFormatJsonSchema, ResponseFormatJsonSchemaType

_NAME = re.compile(r"[^A-Za-z0-9_-]+")
# Keywords that strict structured outputs refuse or ignore; pydantic checks them when the answer is parsed.
_DROPPED = frozenset(
    {
        "title", "default", "examples", "format", "pattern", "minLength", "maxLength",
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains",
        "minProperties", "maxProperties", "propertyNames", "patternProperties", "unevaluatedProperties",
        "discriminator", "deprecated", "readOnly", "writeOnly", "contentMediaType", "contentEncoding",
    }
)  # fmt: skip
# Words for the model in place of formats that its grammar cannot hold.
_FORMAT_WORDS = {
    "date": "ISO 8601 date, YYYY-MM-DD",
    "date-time": "ISO 8601 date and time",
    "time": "ISO 8601 time",
    "duration": "ISO 8601 duration",
    "email": "e-mail address",
    "uuid": "UUID",
    "uri": "URI",
}


def response_format(
    model: type[BaseModel], *, name: str | None = None, description: str | None = None, strict: bool = True
) -> dict[str, Any]:
    """The `response_format` that makes an agent answer with JSON of a pydantic model.

    The schema is safe for strict structured outputs: every object lists all its fields as required and takes
    no others, keywords outside the supported subset are left out (a date's format becomes words in its
    description), nested models stay as references. What the schema cannot say, `parse_answer` checks.

    Args:
        model: The model of the answer; its root is an object.
        name: Name of the format; by default the model's own.
        description: What the answer is, for the model; by default the model's docstring.
        strict: Whether the service holds the model to the schema.

    Returns:
        `{"type": "json_schema", "json_schema": {...}}`, for `response_format=` of agents and runs.

    Raises:
        ConfigurationError: The model cannot be described so: open mappings (`dict[str, X]`), `Any`, tuples of
            different types, a root that is no object. Names the field.
    """
    return value_format(TypeAdapter(model), name or model.__name__, description=description, strict=strict)


def value_format(
    adapter: TypeAdapter[Any], name: str, *, description: str | None = None, strict: bool = True
) -> dict[str, Any]:
    """The same for any type whose JSON is an object: a dataclass, a `TypedDict`.

    Args:
        adapter: The type of the answer.
        name: Name of the format.
        description: As for `response_format`.
        strict: As there.

    Raises:
        ConfigurationError: As there.
    """
    try:
        schema = adapter.json_schema(mode="validation", schema_generator=GenerateJsonSchema)
    except PydanticInvalidForJsonSchema as error:
        raise ConfigurationError(
            f"response format {name}: a field cannot be described as JSON: {error.message}"
        ) from error
    if "$ref" in schema:  # a model that contains itself: the root must be spelt out
        definition = schema["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
        schema = {**definition, "$defs": schema["$defs"]}
    if schema.get("type") != "object":
        raise ConfigurationError(f"response format {name}: its root must be an object")
    told = description if description is not None else schema.get("description")
    fields: dict[str, Any] = {
        "name": _NAME.sub("_", name)[:64],
        "schema": _strict(schema, name),
        "strict": strict,
    }
    if told:
        fields["description"] = told
    return ResponseFormatJsonSchemaType(json_schema=ResponseFormatJsonSchema(**fields)).to_wire()


def _strict(node: Any, where: str) -> Any:
    """A schema in the subset that strict structured outputs support."""
    if isinstance(node, list):
        return [_strict(item, where) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        # A reference stands alone there: words beside it are refused.
        return {"$ref": node["$ref"]}
    if "prefixItems" in node:
        raise ConfigurationError(
            f"response format: {where} is a tuple of different types; use a model with a field for each"
        )
    made = {key: value for key, value in node.items() if key not in _DROPPED}
    if "oneOf" in made:
        made["anyOf"] = made.pop("oneOf")
    if len(made.get("allOf", ())) == 1:
        made = {**made.pop("allOf")[0], **made}
        return _strict(made, where)
    words = _FORMAT_WORDS.get(node.get("format", ""))
    if words:
        made["description"] = f"{made['description']} ({words})" if made.get("description") else words
    for key in ("anyOf", "allOf", "items"):
        if key in made:
            made[key] = _strict(made[key], f"{where}[]" if key == "items" else where)
    if "$defs" in made:
        made["$defs"] = _strict_definitions(made["$defs"])
    if made.get("type") == "object":
        _close(made, where)
    elif not made.keys() & {"type", "anyOf", "allOf", "enum", "const"}:
        raise ConfigurationError(f"response format: {where} may be anything; give it a type")
    return made


def _strict_definitions(definitions: dict[str, Any]) -> dict[str, Any]:
    return {name: _strict(definition, name) for name, definition in definitions.items()}


def _close(made: dict[str, Any], where: str) -> None:
    properties = made.get("properties")
    if properties is None or made.get("additionalProperties") not in (None, False):
        raise ConfigurationError(
            f"response format: {where} is a mapping with any keys, which strict answers cannot be held to; "
            "use a model with named fields, or a list of models with a key and a value"
        )
    made["properties"] = {name: _strict(value, f"{where}.{name}") for name, value in properties.items()}
    made["required"] = list(properties)
    made["additionalProperties"] = False
