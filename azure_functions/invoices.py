"""Checks of an invoice's arithmetic."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, Field
from queue_tool import queue_tool

Amount = Annotated[Decimal, Field(ge=-(10**12), le=10**12)]
CENT = Decimal("0.01")


class Line(BaseModel):
    """A line of an invoice."""

    quantity: Amount = Field(description="How many")
    unit_price: Amount = Field(description="Price of one, without tax")
    amount: Amount | None = Field(None, description="Amount that the line states, if any")


@queue_tool()
def validate_invoice_total(
    lines: Annotated[list[Line], Field(description="The invoice's lines", min_length=1, max_length=500)],
    total: Annotated[Amount, Field(description="Total to pay that the invoice states")],
    tax_rate: Annotated[
        Decimal, Field(description="Tax in percent on all lines; 0 for none", ge=0, le=100)
    ] = Decimal(0),
    tolerance: Annotated[Decimal, Field(description="Difference that rounding explains", ge=0, le=10)] = CENT,
) -> dict[str, object]:
    """Check whether an invoice's lines, tax and total agree; names each difference."""
    problems = []
    net = Decimal(0)
    for number, line in enumerate(lines, 1):
        computed = (line.quantity * line.unit_price).quantize(CENT, ROUND_HALF_UP)
        if line.amount is not None and abs(computed - line.amount) > tolerance:
            said = f"{line.quantity} x {line.unit_price} is {computed}, not {line.amount}"
            problems.append(f"line {number}: {said}")
        net += computed if line.amount is None else line.amount
    tax = (net * tax_rate / 100).quantize(CENT, ROUND_HALF_UP)
    expected = (net + tax).quantize(CENT, ROUND_HALF_UP)
    if abs(expected - total) > tolerance:
        problems.append(f"the lines and the tax give {expected}, not {total}")
    return {
        "valid": not problems,
        "net": str(net.quantize(CENT, ROUND_HALF_UP)),
        "tax": str(tax),
        "total": str(expected),
        "problems": problems,
    }
