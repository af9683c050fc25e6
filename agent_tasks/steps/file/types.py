"""Types of values in a pipeline, as far as they are known before it runs.

They follow from the answers of agents (fields, a JSON Schema, a pydantic model), and let a mistake in an
expression or a template be told when the file is loaded. What is not known is `ANY`, and fits everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import jinja2

from agent_tasks.known_names import did_you_mean
from agent_tasks.pipeline.output_schema import FieldSpec

Name: TypeAlias = Literal["string", "integer", "number", "boolean", "null", "list", "object", "any"]

_MAX_DEPTH = 12  # of a schema that contains itself

_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "list": "a list",
    "object": "a mapping",
    "any": "anything",
}


@dataclass(frozen=True)
class ValueType:
    """What a value may be."""

    name: Name
    item: ValueType | None = None
    """Of a list: its items."""
    fields: Mapping[str, ValueType] | None = field(default=None, compare=False)
    """Of a mapping: its fields; None if they are not known."""
    enum: tuple[str, ...] | None = None
    """Of text: the only values it may have."""
    nullable: bool = False
    """Whether it may be null: an optional field, a step that does not always run."""

    @property
    def words(self) -> str:
        """What it is, for people."""
        return _WORDS[self.name]

    @property
    def is_number(self) -> bool:
        """Whether it is a number of either kind."""
        return self.name in ("integer", "number")

    def or_null(self) -> ValueType:
        """The same, but it may be null."""
        return replace(self, nullable=True)

    def attribute(self, name: str, of: str) -> ValueType:
        """The type of a field.

        Args:
            name: the field.
            of: what it is asked of, as the author wrote it.

        Raises:
            LookupError: there is no such field; the text says so, and what there is.
        """
        if self.name == "any" or (self.name == "object" and self.fields is None):
            return ANY
        if self.name != "object" or self.fields is None:
            raise LookupError(f"{of} is {self.words} and has no field {name!r}")
        if name not in self.fields:
            raise LookupError(f"{of} has no field {name!r}. {did_you_mean(name, list(self.fields))}")
        found = self.fields[name]
        return found.or_null() if self.nullable else found

    def example(self) -> Any:
        """A value of this type, for trying a template out."""
        if self.name == "object":
            return {name: one.example() for name, one in (self.fields or {}).items()}
        if self.name == "list":
            return [self.item.example()] if self.item is not None else []
        if self.enum:
            return self.enum[0]
        examples = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}
        # Of what is not known every field is there, and empty.
        return examples[self.name] if self.name in examples else jinja2.ChainableUndefined()


ANY = ValueType("any")
TEXT = ValueType("string")
INTEGER = ValueType("integer")
NUMBER = ValueType("number")
BOOLEAN = ValueType("boolean")
NULL = ValueType("null")


def list_of(item: ValueType) -> ValueType:
    """A list of such items."""
    return ValueType("list", item=item)


def mapping(fields: Mapping[str, ValueType]) -> ValueType:
    """A mapping with these fields and no others."""
    return ValueType("object", fields=dict(fields))


DOCUMENT = mapping({"name": TEXT, "text": TEXT, "pages": list_of(TEXT)})
"""What `document` is in expressions and templates."""

FIELDS = list_of(mapping({"name": TEXT, "type": TEXT, "description": TEXT, "optional": BOOLEAN}))
"""What `fields` is in a template: the fields that the agent is to answer with."""


def of_fields(fields: Mapping[str, FieldSpec]) -> ValueType:
    """The type of an answer with these fields."""
    return mapping({name: _of_field(spec) for name, spec in fields.items()})


def _of_field(spec: FieldSpec) -> ValueType:
    if spec.fields is not None:
        found = of_fields(spec.fields)
    elif spec.type == "date":
        found = TEXT
    elif spec.type == "object":
        found = ANY
    else:
        found = ValueType(spec.type, enum=spec.enum)
    if spec.list:
        found = list_of(found)
    return found.or_null() if spec.optional else found


def of_schema(schema: Mapping[str, Any]) -> ValueType:
    """The type of what a JSON Schema describes; `ANY` for what this does not follow."""
    return _of_schema(schema, schema, 0)


def _of_schema(schema: Any, root: Mapping[str, Any], depth: int) -> ValueType:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return ANY
    if "$ref" in schema:
        return _of_schema(_resolved(str(schema["$ref"]), root), root, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _of_alternatives(schema[key], root, depth)
    enum = schema.get("enum", [schema["const"]] if "const" in schema else None)
    kind = schema.get("type")
    if isinstance(kind, list):
        alternatives = [{**schema, "type": one} for one in kind]
        return _of_alternatives(alternatives, root, depth)
    if kind is None and enum and all(isinstance(one, str) for one in enum):
        kind = "string"
    if kind == "object":
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return ValueType("object")
        required = schema.get("required", ())
        found = {name: _of_schema(one, root, depth + 1) for name, one in properties.items()}
        return mapping({name: one if name in required else one.or_null() for name, one in found.items()})
    if kind == "array":
        return list_of(_of_schema(schema.get("items"), root, depth + 1))
    if kind == "string":
        is_text = enum and all(isinstance(one, str) for one in enum)
        return ValueType("string", enum=tuple(enum) if is_text else None)
    return {"integer": INTEGER, "number": NUMBER, "boolean": BOOLEAN, "null": NULL}.get(str(kind), ANY)


def _of_alternatives(alternatives: Any, root: Mapping[str, Any], depth: int) -> ValueType:
    found = [_of_schema(one, root, depth + 1) for one in alternatives]
    real = [one for one in found if one.name != "null"]
    nullable = len(real) < len(found) or any(one.nullable for one in real)
    if not real:
        return NULL
    joined = real[0]
    for one in real[1:]:
        joined = join(joined, one)
    return joined.or_null() if nullable else joined


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    here: Any = root
    for part in reference.removeprefix("#/").split("/"):
        here = here.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(here, Mapping) else None
    return here


def join(one: ValueType, other: ValueType) -> ValueType:
    """The type of what is one or the other."""
    nullable = one.nullable or other.nullable
    if one.name == "null":
        return other.or_null()
    if other.name == "null":
        return one.or_null()
    if one.is_number and other.is_number:
        return ValueType("integer" if one.name == other.name == "integer" else "number", nullable=nullable)
    if one.name != other.name:
        return replace(ANY, nullable=nullable)
    if one.name == "object":
        if one.fields is None or other.fields is None:
            return ValueType("object", nullable=nullable)
        names = dict.fromkeys([*one.fields, *other.fields])
        fields = {name: join(one.fields.get(name, NULL), other.fields.get(name, NULL)) for name in names}
        return replace(mapping(fields), nullable=nullable)
    if one.name == "list":
        return replace(list_of(join(one.item or ANY, other.item or ANY)), nullable=nullable)
    enum = tuple(dict.fromkeys([*one.enum, *other.enum])) if one.enum and other.enum else None
    return replace(one, enum=enum, nullable=nullable)
