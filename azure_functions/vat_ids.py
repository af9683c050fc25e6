"""Checks of VAT identification numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from queue_tool import queue_tool
from stdnum.ch import vat as swiss
from stdnum.eu import vat as european
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as british
from stdnum.no import mva as norwegian

_ELSEWHERE = {"CHE": swiss, "GB": british, "NO": norwegian}
"""Countries outside the European Union, by the first letters of their numbers."""


@queue_tool()
def validate_vat_id(
    vat_id: Annotated[str, Field(description="VAT id with its country's letters, as written", max_length=40)],
) -> dict[str, str | bool]:
    """Check a VAT id's form and check digits (EU, GB, CH, NO), not whether it is registered."""
    given = vat_id.strip().upper()
    checker = next((module for letters, module in _ELSEWHERE.items() if given.startswith(letters)), european)
    try:
        compact = str(checker.validate(given))
    except ValidationError as error:
        return {"valid": False, "vat_id": vat_id, "reason": str(error)}
    return {"valid": True, "vat_id": compact, "country": given[:2]}
