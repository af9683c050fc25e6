"""What tokens cost in money: a table of prices that its users write, and amounts that are exact.

The table is a TOML file (`AGENT_TASKS_PRICES`). None is shipped, since prices change and differ by contract:
without a table nothing is said about money. A model that the table lacks has no price, which is not zero.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agent_tasks.backends.usage import TokenCount, Usage
from agent_tasks.errors import ConfigurationError

__all__ = ["NO_PRICES", "Cost", "ModelPrice", "Prices", "read_prices", "total_cost"]

PRICE_UNKNOWN = "price unknown"

_REMEDY = (
    'Write currency = "USD", and for each model a section [models."NAME"] (the name in quotes) with input, '
    "output and perhaps cached_input, for a million tokens."
)
_MILLION = Decimal(1_000_000)
_SHOWN = Decimal("0.0001")
_CENT = Decimal("0.01")


class Cost(BaseModel):
    """An amount of money, in one currency or several, and the tokens whose price is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amounts: dict[str, Decimal] = Field(default_factory=dict)
    """By currency, exact."""
    unpriced: dict[str, int] = Field(default_factory=dict)
    """Tokens of models without a price, by model; of a model that is not known under an empty name."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            amounts=_summed(self.amounts, other.amounts), unpriced=_summed(self.unpriced, other.unpriced)
        )

    def text(self) -> str:
        """For people, such as `0.0213 USD`, `1.20 USD + price unknown` or `price unknown`."""
        parts = [_amount(value, currency) for currency, value in sorted(self.amounts.items())]
        return " + ".join([*parts, PRICE_UNKNOWN] if self.unpriced else parts) or "0"

    def unpriced_models(self) -> list[str]:
        """The models whose price is not known, as people may read them."""
        return [name or "a model that is not recorded" for name in sorted(self.unpriced)]


class ModelPrice(BaseModel):
    """Prices of one model deployment, for a million tokens each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Decimal = Field(ge=0)
    """Tokens of prompts."""
    output: Decimal = Field(ge=0)
    """Tokens of answers."""
    cached_input: Decimal | None = Field(default=None, ge=0)
    """Tokens of prompts that the service had in its cache; None: as `input`."""
    currency: str | None = None
    """Such as `USD`; None: the table's."""

    @field_validator("input", "output", "cached_input", mode="before")
    @classmethod
    def _is_exact(cls, value: Any) -> Any:
        if isinstance(value, bool | float):
            raise ValueError("is no amount: write a number, such as 2.50")
        return value

    def amount(self, used: TokenCount) -> Decimal:
        """What tokens cost."""
        cached = min(used.cached_tokens, used.prompt_tokens)
        at_cache = self.input if self.cached_input is None else self.cached_input
        parts = (used.prompt_tokens - cached) * self.input + cached * at_cache
        return (parts + used.completion_tokens * self.output) / _MILLION


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str | None = None
    as_of: date | None = None
    models: dict[str, ModelPrice] = Field(min_length=1)


class Prices:
    """A table of prices.

    Args:
        models: prices by the name of the model deployment, each with its currency.
        as_of: the day on which they were looked up.
    """

    def __init__(self, models: Mapping[str, ModelPrice], as_of: date | None = None) -> None:
        self._models = dict(models)
        self.as_of = as_of

    def __len__(self) -> int:
        return len(self._models)

    def currency_of(self, model: str) -> str | None:
        """The currency of a model's price; None: it has none here."""
        price = self._models.get(model)
        return price.currency if price is not None else None

    def cost(self, usage: Usage) -> Cost | None:
        """What a usage costs; None: there is no table, and nothing is known about money."""
        if not self._models:
            return None
        amounts: dict[str, Decimal] = {}
        unpriced: dict[str, int] = {}
        for name, used in usage.models.items():
            price = self._models.get(name)
            if price is None:
                unpriced[name] = unpriced.get(name, 0) + used.prompt_tokens + used.completion_tokens
            else:
                currency = price.currency or ""
                amounts[currency] = amounts.get(currency, Decimal(0)) + price.amount(used)
        recorded = sum(one.prompt_tokens + one.completion_tokens for one in usage.models.values())
        if (rest := usage.total_tokens - recorded) > 0:
            unpriced[""] = rest
        return Cost(amounts=amounts, unpriced=unpriced)


NO_PRICES = Prices({})
"""No table."""


def total_cost(costs: Iterable[Cost | None]) -> Cost | None:
    """The sum of costs; None if none of them is known."""
    known = [cost for cost in costs if cost is not None]
    return sum(known, start=Cost()) if known else None


def read_prices(path: Path | None) -> Prices:
    """Read a table of prices.

    Args:
        path: the file (TOML); None: no table.

    Raises:
        ConfigurationError: it can't be read, or is not such a table; names the place and the remedy.
    """
    if path is None:
        return NO_PRICES
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        table = _Table.model_validate(read)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _not_usable(path, str(error)) from error
    except ValidationError as error:
        raise _not_usable(path, "; ".join(map(_said, error.errors()))) from error
    missing = [name for name, price in table.models.items() if not (price.currency or table.currency)]
    if missing:
        raise _not_usable(path, f"{', '.join(missing)} has no currency, and there is none for all")
    models = {
        name: price.model_copy(update={"currency": price.currency or table.currency})
        for name, price in table.models.items()
    }
    return Prices(models, table.as_of)


def _not_usable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The table of prices {path} (AGENT_TASKS_PRICES) can't be used: {why}. {_REMEDY}",
        setting="AGENT_TASKS_PRICES",
    )


def _said(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}"


def _summed(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def _amount(value: Decimal, currency: str) -> str:
    if value == 0:
        return f"0 {currency}"
    if value < _SHOWN:
        return f"less than {_SHOWN} {currency}"
    return f"{value.quantize(_CENT if value >= 1 else _SHOWN):,} {currency}"
