"""The fields an extraction has: from the pipeline file to a pydantic model and a JSON schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    create_model,
    model_serializer,
    model_validator,
)

from agent_tasks.documents.grounding import Ambiguous, Ground, Leaf
from agent_tasks.errors import AnswerFormatError
from agent_tasks.tools import answers

FieldType: TypeAlias = Literal["string", "integer", "number", "boolean", "date", "object"]

FieldName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DEFAULT_GROUND: dict[str, Ground] = {
    "string": "exact",
    "integer": "number",
    "number": "number",
    "date": "date",
}
_GROUNDS_OF_TYPE: dict[str, tuple[Ground, ...]] = {
    "string": ("exact", "number", "date", "currency", "unit", "enum", "none"),
    "integer": ("number", "exact", "none"),
    "number": ("number", "exact", "none"),
    "date": ("date", "exact", "none"),
}
_ONLY_FOR = {
    "enum": ("string",),
    "pattern": ("string",),
    "max_length": ("string",),
    "minimum": ("integer", "number"),
    "maximum": ("integer", "number"),
    "multiple_of": ("integer", "number"),
}


class FieldSpec(BaseModel):
    """One field of the output, as the pipeline file describes it. A type alone may stand for all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: FieldType = "string"
    """Type of the value; ``object`` follows from `fields`."""
    description: str = ""
    """What the value is, for the model."""
    optional: bool = False
    """The value may be null, or left out."""
    list: bool = False
    """The value is a list of what `type` says."""
    enum: tuple[str, ...] | None = Field(None, min_length=1)
    """The only strings allowed."""
    pattern: str | None = None
    """Regular expression the string contains (anchor it with ^ and $ to cover the whole)."""
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: float | None = Field(None, gt=0)
    """Step of a number: 0.01 for amounts of money."""
    max_length: int | None = Field(None, ge=1)
    """Characters of a string."""
    max_items: int | None = Field(None, ge=1)
    """Items of a list."""
    ambiguous: Ambiguous = "show"
    """Whether a person has to look where the document's text can be read in several ways (03/04/2026)."""
    ground: Ground | None = None
    """How the value is looked for in the document; None: as the type has it (see `grounding_kind`)."""
    fields: dict[FieldName, FieldSpec] | None = Field(None, min_length=1)
    """Fields of an object."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"type": value}
        if isinstance(value, dict) and value.get("fields") is not None:
            return {"type": "object", **value}
        return value

    @model_validator(mode="after")
    def _fits(self) -> FieldSpec:
        if (self.type == "object") != (self.fields is not None):
            raise ValueError("an object has `fields`, and only an object has them")
        for key, types in _ONLY_FOR.items():
            if getattr(self, key) is not None and self.type not in types:
                raise ValueError(f"`{key}` is for {' and '.join(types)} fields, not for {self.type}")
        if self.max_items is not None and not self.list:
            raise ValueError("`max_items` is for lists: add `list: true`")
        if self.ground is not None and self.ground not in _GROUNDS_OF_TYPE.get(self.type, ("none",)):
            raise ValueError(f"`ground: {self.ground}` does not fit a {self.type} field")
        if self.ground == "enum" and self.enum is None:
            raise ValueError(
                "`ground: enum` is for fields with an `enum`: list its words, or use `ground: exact`"
            )
        if self.ambiguous == "review" and self.grounding_kind == "none":
            raise ValueError("`ambiguous: review` is for fields that are looked up: say how with `ground`")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("`minimum` is above `maximum`")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the option where it is not used: documents done before it was there stay done."""
        written: dict[str, Any] = handler(self)
        if self.ambiguous == "show":
            written.pop("ambiguous", None)
        return written

    @property
    def grounding_kind(self) -> Ground:
        """How the value is grounded; words of an enum need not be in the text, unless `ground` says so."""
        if self.ground is not None:
            return self.ground
        return "none" if self.enum else _DEFAULT_GROUND.get(self.type, "none")


class OutputSchema:
    """Output of the extractor: model, JSON schema, parsing, and a walk over its values.

    Args:
        name: Name of the schema, as the service shows it.
        fields: The fields, in order.
        description: What the whole is, for the model.
        strict: Whether the service is to enforce the shape (see `response_format`).

    Raises:
        ValueError: A pattern is not a regular expression that can be checked.
    """

    def __init__(
        self, name: str, fields: Mapping[str, FieldSpec], *, description: str = "", strict: bool = True
    ) -> None:
        self.name = name
        self.fields = fields
        self.description = description
        self.strict = strict
        self.model = _model(name, fields)

    def response_format(self) -> dict[str, Any]:
        """The ``response_format`` of a turn that must answer in this shape.

        In strict mode Azure OpenAI refuses patterns, formats, ranges and lengths (its documentation of
        structured outputs), so they are left out and checked here only.
        """
        schema = _object_schema(self.fields, constraints=not self.strict)
        if self.description:
            schema["description"] = self.description
        return json_schema_format(self.name, schema, strict=self.strict)

    def partial(self) -> OutputSchema:
        """Return the schema of what a part of a document says: any value may be missing there."""
        fields = {name: _optional(field) for name, field in self.fields.items()}
        return OutputSchema(self.name, fields, description=self.description, strict=self.strict)

    def parse(self, text: str) -> tuple[dict[str, Any] | None, list[str]]:
        """Read a model's answer.

        Returns:
            The values (JSON-able, dates as ISO text) and no errors; or None and what is wrong.
        """
        return parse_answer(self.model, text)

    def leaves(self, values: dict[str, Any]) -> Iterator[Leaf]:
        """All single values that are not null, with their paths, in the order of the fields."""
        return _leaves(self.fields, values, "")

    def paths(self) -> list[str]:
        """Names of the top fields."""
        return list(self.fields)

    def described(self) -> list[dict[str, Any]]:
        """The fields for prompt templates: name, type, description, optional."""
        return [
            {
                "name": name,
                "type": f"list of {field.type}" if field.list else field.type,
                "description": field.description,
                "optional": field.optional,
            }
            for name, field in self.fields.items()
        ]

    def example(self) -> dict[str, Any]:
        """Values of the right shape, for trying templates out."""
        return {name: _example(field) for name, field in self.fields.items()}


def _optional(field: FieldSpec) -> FieldSpec:
    inside = field.fields
    if inside is not None and not field.list:
        inside = {name: _optional(inner) for name, inner in inside.items()}
    return field.model_copy(update={"optional": True, "fields": inside})


def json_schema_format(name: str, schema: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    """A JSON schema as a ``response_format`` of the service (spec: ResponseFormatJsonSchemaType)."""
    body: dict[str, Any] = {"name": name, "schema": schema, "strict": strict}
    return {"type": "json_schema", "json_schema": body}


def parse_answer(model: type[BaseModel], text: str) -> tuple[dict[str, Any] | None, list[str]]:
    """Check an answer against a model, as `agent_tasks.tools.parse_answer` does.

    Types are checked strictly: "1.250" for a number could mean two things, so it is an error, not 1.25.

    Returns:
        The values and no errors, or None and the errors.
    """
    try:
        return answers.parse_answer(model, text, strict=True).model_dump(mode="json"), []
    except AnswerFormatError as error:
        return None, list(error.problems)


def _blank_is_null(value: Any) -> Any:
    """An optional text that is blank, or says null, is a missing one: small models write both."""
    return None if isinstance(value, str) and value.strip().lower() in ("", "null") else value


def _on_step(step: float | None) -> Callable[[float], float]:
    """A check that a number is a multiple of `step`; in decimals, since 0.29 / 0.01 is not 29 in floats."""

    def check(value: float) -> float:
        if step is not None:
            steps = Decimal(str(value)) / Decimal(str(step))
            if steps != steps.to_integral_value():
                raise ValueError(f"Input should be a multiple of {step:g}")
        return value

    return check


def _iso_date(value: Any) -> date:
    """A date as the schema asks for it; pydantic alone would also take times and seconds since 1970."""
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value.strip()):
        raise ValueError("write the date as YYYY-MM-DD")
    return date.fromisoformat(value.strip())


def _model(owner: str, fields: Mapping[str, FieldSpec]) -> type[BaseModel]:
    definitions: dict[str, Any] = {}
    for position, (name, field) in enumerate(fields.items()):
        kind = _annotation(f"{owner}_{name}", field)
        default: Any = ...
        if field.optional:
            kind, default = kind | None, None
            if field.type != "object" and not field.list:
                kind = Annotated[kind, BeforeValidator(_blank_is_null)]
        # A neutral field name and the real one as alias: `copy` or `model_x` are fine as names in a document.
        definitions[f"field_{position}"] = (kind, Field(default, alias=name))
    config = ConfigDict(extra="forbid", serialize_by_alias=True, str_strip_whitespace=True)
    return create_model(owner, __config__=config, **definitions)


def _annotation(name: str, field: FieldSpec) -> Any:
    kind: Any
    if field.fields:
        kind = _model(name, field.fields)
    elif field.enum:
        kind = Literal[field.enum]
    elif field.type == "string":
        kind = Annotated[str, Field(min_length=1, max_length=field.max_length, pattern=field.pattern)]
    elif field.type == "number":
        kind = Annotated[float, Field(ge=field.minimum, le=field.maximum, allow_inf_nan=False)]
        kind = Annotated[kind, AfterValidator(_on_step(field.multiple_of))]
    elif field.type == "integer":
        kind = Annotated[int, Field(ge=field.minimum, le=field.maximum)]
        kind = Annotated[kind, AfterValidator(_on_step(field.multiple_of))]
    elif field.type == "date":
        kind = Annotated[date, BeforeValidator(_iso_date)]
    else:
        kind = bool
    if field.list:
        kind = Annotated[list[kind], Field(max_length=field.max_items)]
    return kind


def _object_schema(fields: Mapping[str, FieldSpec], *, constraints: bool) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _field_schema(field, constraints) for name, field in fields.items()},
        # All required, optional ones may be null: strict mode asks for it, and small models leave less out.
        "required": list(fields),
        "additionalProperties": False,
    }


def _field_schema(field: FieldSpec, constraints: bool) -> dict[str, Any]:
    schema: dict[str, Any]
    if field.fields:
        schema = _object_schema(field.fields, constraints=constraints)
    elif field.type == "date":
        schema = {"type": "string", "format": "date"} if constraints else {"type": "string"}
    else:
        schema = {"type": field.type}
    if field.enum:
        schema["enum"] = list(field.enum)
    elif constraints:
        if field.type == "string":
            schema["minLength"] = 1
        given = {
            "pattern": field.pattern,
            "maxLength": field.max_length,
            "minimum": field.minimum,
            "maximum": field.maximum,
            "multipleOf": field.multiple_of,
        }
        schema.update({key: value for key, value in given.items() if value is not None})
    if field.list:
        schema = {"type": "array", "items": schema}
        if constraints and field.max_items is not None:
            schema["maxItems"] = field.max_items
    if field.optional:
        schema = {"anyOf": [schema, {"type": "null"}]}
    description = field.description
    if field.type == "date" and not constraints:
        description = f"{description} (YYYY-MM-DD)".strip()
    if description:
        schema["description"] = description
    return schema


def _leaves(fields: Mapping[str, FieldSpec], values: dict[str, Any], prefix: str) -> Iterator[Leaf]:
    for name, field in fields.items():
        value = values.get(name)
        if value is None:
            continue
        path = f"{prefix}{name}"
        items = [(f"{path}[{n}]", item) for n, item in enumerate(value)] if field.list else [(path, value)]
        for item_path, item in items:
            if field.fields:
                yield from _leaves(field.fields, item, f"{item_path}.")
            else:
                yield Leaf(item_path, field.grounding_kind, item, field.ambiguous)


def _example(field: FieldSpec) -> Any:
    value: Any
    if field.fields:
        value = {name: _example(inner) for name, inner in field.fields.items()}
    elif field.enum:
        value = field.enum[0]
    else:
        value = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "date": "2026-01-31"}[
            field.type
        ]
    return [value] if field.list else value
