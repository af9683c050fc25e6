"""What the openai client's own model classes say of the answers that it got.

The client itself takes whatever comes. Its strict mode wants fields that were never recorded, so the classes
are asked here: each field that a class requires has to be there, and each value has to be of the field's
type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NEVER_RECORDED = {"InputTokensDetails.cache_write_tokens"}
"""Fields that the client's classes require, and no recorded answer has."""
OTHERWISE = {"VectorStoreFileBatch.object"}
"""Fields that have another value than the classes say: the recorded one of the classic wire."""


class Validated:
    """Before a client's class: collects what is wrong with the answers."""

    violations: frozenset[str] = frozenset()

    async def are_of_their_classes(self) -> None:
        """Fail if an answer was none of its class."""
        assert not self.violations, sorted(self.violations)

    def _process_response_data(self, *, data: object, cast_to: Any, response: Any) -> Any:
        value = super()._process_response_data(data=data, cast_to=cast_to, response=response)  # type: ignore[misc]
        self.violations |= set(mismatches(value))
        return value


def mismatches(value: Any) -> Iterator[str]:
    """Say where a value that the client built is none of its class."""
    from pydantic import BaseModel, TypeAdapter, ValidationError

    if isinstance(value, list):
        for item in value:
            yield from mismatches(item)
    if not isinstance(value, BaseModel):
        return
    kind = type(value)
    for name, field in kind.model_fields.items():
        where = f"{kind.__name__}.{name}"
        if name not in value.model_fields_set:
            if field.is_required() and where not in NEVER_RECORDED:
                yield f"{where} is missing"
            continue
        given = getattr(value, name)
        if isinstance(given, BaseModel | list):
            yield from mismatches(given)
        elif not isinstance(given, dict):
            try:
                TypeAdapter(field.annotation).validate_python(given)
            except ValidationError:
                if where in OTHERWISE:
                    continue
                yield f"{where} is {given!r}"
