"""What all wire models share: open for unknown fields, unknown values and unknown kinds."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

__all__ = ["ByType", "DeletionStatus", "Metadata", "Open", "UnixTime", "WireModel"]

Metadata = dict[str, str]
"""At most 16 pairs; keys up to 64 characters, values up to 512 (published v1 document)."""

UnixTime = int
"""Seconds since 1970-01-01 UTC."""

_E = TypeVar("_E")

Open = Annotated[_E | str, Field(union_mode="left_to_right")]
"""`Open[SomeEnum]`: a member of the enum where the value is known, the plain string where it is not."""


class WireModel(BaseModel):
    """A JSON object of the protocol.

    Unknown fields are kept. `model_dump(mode="json", exclude_unset=True)` gives back exactly the object that
    was read; `to_wire()` is short for it. Constants (`type`, `object`) count as set when built in code.
    """

    model_config = ConfigDict(
        extra="allow",
        hide_input_in_errors=True,  # a body holds what people wrote, and headers of MCP servers
        defer_build=True,
        serialize_by_alias=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    _constants: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        fields = cls.model_fields
        cls._constants = frozenset(
            name for name in ("type", "object") if name in fields and isinstance(fields[name].default, str)
        )

    @override
    def model_post_init(self, context: Any, /) -> None:
        self.__pydantic_fields_set__.update(self._constants)

    def to_wire(self) -> dict[str, Any]:
        """The JSON object to send: the fields that were set, under their names on the wire."""
        return self.model_dump(mode="json", exclude_unset=True)


class ByType:
    """Annotates a union of models: `type` picks the member, the last member takes every other type.

    The last member is the generic base (`type: str` and whatever else came), so kinds that this version does
    not know survive a round trip. A known kind with a wrong body is an error, not a generic object.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        *known, fallback = get_args(source)
        choices: dict[str, CoreSchema] = {}
        for member in known:
            annotation = member.model_fields["type"].annotation
            if get_origin(annotation) is not Literal:
                raise TypeError(f"{member.__name__}.type must be a Literal to take part in a union by type")
            schema = handler.generate_schema(member)
            choices.update(dict.fromkeys(get_args(annotation), schema))
        other = "*"
        choices[other] = handler.generate_schema(fallback)

        def pick(value: Any) -> str:
            kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
            return kind if isinstance(kind, str) and kind in choices else other

        return core_schema.tagged_union_schema(choices, discriminator=pick)


class DeletionStatus(WireModel):
    """Answer of every delete; `object` says of what. The kinds differ in that word alone."""

    id: str
    object: str = "deleted"
    deleted: bool = True
