"""Conversion of amounts at the rate of a day.

`sample_rates.csv` has the shape of a central bank's reference rates (units of a currency for one euro, by
day), but its figures are **invented sample data**: put real ones in its place before anybody relies on them.
Every answer says which table it is from.
"""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field
from queue_tool import ToolError, queue_tool

RATES = Path(__file__).parent / "sample_rates.csv"
SOURCE = "sample data, not real rates"
OLDEST = timedelta(days=31)
"""How old the last rate before a day may be; a table that publishes on every working day allows for less."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="Currency code of ISO 4217, such as EUR")]


@cache
def _rates() -> dict[date, dict[str, Decimal]]:
    """Units of each currency for one euro, by day, in the order of the days."""
    with RATES.open(encoding="utf-8", newline="") as table:
        rows = [
            (date.fromisoformat(row.pop("date")), {code: Decimal(rate) for code, rate in row.items()})
            for row in csv.DictReader(table)
        ]
    return {day: {"EUR": Decimal(1), **rates} for day, rates in sorted(rows)}


@queue_tool()
def convert_currency(
    amount: Annotated[Decimal, Field(description="Amount to convert", ge=-(10**12), le=10**12)],
    source: Currency,
    target: Currency,
    day: Annotated[date, Field(description="Day whose rate counts, as YYYY-MM-DD")],
) -> dict[str, str]:
    """Convert an amount from one currency into another at the rate of a day, or of the last day before it."""
    days = [known for known in _rates() if known <= day]
    if not days or day - days[-1] > OLDEST:
        first, last = min(_rates()), max(_rates())
        raise ToolError(f"there is no rate for {day}; the table has days from {first} to {last}")
    rates = _rates()[days[-1]]
    for code in (source, target):
        if code not in rates:
            raise ToolError(f"there is no rate for {code}; there is: {', '.join(sorted(rates))}")
    rate = rates[target] / rates[source]
    converted = (amount * rate).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return {
        "amount": str(converted),
        "currency": target,
        "rate": str(rate.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)),
        "rate_date": days[-1].isoformat(),
        "source": SOURCE,
    }
