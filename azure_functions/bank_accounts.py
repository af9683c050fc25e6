"""Checks of bank accounts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from queue_tool import queue_tool
from stdnum import iban as iban_number
from stdnum.exceptions import ValidationError


@queue_tool()
def validate_iban(
    iban: Annotated[
        str,
        Field(
            description="Account number (IBAN), as written",
            max_length=64,
            # For the model alone: what does not look like one is answered with the reason.
            json_schema_extra={"pattern": "^[A-Z]{2}[0-9]{2}[A-Z0-9 ]{10,40}$"},
        ),
    ],
) -> dict[str, str | bool]:
    """Check an IBAN's country, length and check digits. It says nothing of whether the account exists."""
    try:
        compact = iban_number.validate(iban)
    except ValidationError as error:
        return {"valid": False, "iban": iban, "reason": str(error)}
    return {"valid": True, "iban": iban_number.format(compact), "country": compact[:2]}
