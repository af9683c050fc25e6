"""What tokens cost in money."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from agent_tasks.backends.usage import TokenCount
from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import Cost, Usage, read_prices, total_cost

TABLE = """\
currency = "USD"
as_of = 2026-11-29

[models."large.1"]
input = 2.50
cached_input = 0.30
output = 10

[models.small]
input = 0.1
output = 0.2
currency = "EUR"
"""


def _table(folder: Path, text: str = TABLE) -> Path:
    path = folder / "prices.toml"
    path.write_text(text)
    return path


def _used(prompt: int, cached: int, completion: int) -> Usage:
    return Usage(
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        total_tokens=prompt + completion,
    )


def test_money_is_exact_and_cached_tokens_have_their_price(tmp_path: Path) -> None:
    prices = read_prices(_table(tmp_path))
    one = prices.cost(_used(1_000_003, 400_001, 7).of_model("large.1"))
    assert one is not None
    # 600,002 x 2.5 + 400,001 x 0.3 + 7 x 10, by a million.
    assert one.amounts == {"USD": Decimal("1.6200753")}
    # A tenth, ten thousand times, is a thousand; with floats it is not.
    many = total_cost([prices.cost(_used(1_000_000, 0, 0).of_model("small"))] * 10_000)
    assert many is not None
    assert many.amounts == {"EUR": Decimal(1000)}
    assert Cost.model_validate_json(one.model_dump_json()) == one


def test_without_a_price_for_its_cache_a_cached_token_costs_as_any(tmp_path: Path) -> None:
    prices = read_prices(_table(tmp_path))
    cached, fresh = (_used(1_000_000, number, 0).of_model("small") for number in (900_000, 0))
    assert prices.cost(cached) == prices.cost(fresh)


def test_a_model_without_a_price_is_not_free(tmp_path: Path) -> None:
    prices = read_prices(_table(tmp_path))
    unknown = prices.cost(_used(10, 0, 5).of_model("other"))
    assert unknown is not None
    assert (unknown.amounts, unknown.unpriced, unknown.text()) == ({}, {"other": 15}, "price unknown")
    mixed = prices.cost(_used(10, 0, 5).of_model("other") + _used(1_000_000, 0, 0).of_model("large.1"))
    assert mixed is not None
    assert mixed.text() == "2.50 USD + price unknown"
    not_recorded = prices.cost(_used(10, 0, 5))
    assert not_recorded is not None
    assert not_recorded.unpriced_models() == ["a model that is not recorded"]
    assert prices.cost(Usage()) == Cost()


def test_without_a_table_nothing_is_said_about_money() -> None:
    assert read_prices(None).cost(_used(10, 0, 5).of_model("large.1")) is None
    assert total_cost([None, None]) is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0 USD"),
        ("0.00001", "less than 0.0001 USD"),
        ("0.02126", "0.0213 USD"),
        ("1234.567", "1,234.57 USD"),
    ],
)
def test_amounts_for_people(amount: str, text: str) -> None:
    assert Cost(amounts={"USD": Decimal(amount)}).text() == text


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[models.a]\ninput = 1\noutput = 1\n", "a has no currency"),
        ('currency = "USD"\n', "models: Field required"),
        ('currency = "USD"\n[models]\n', "at least 1 item"),
        ('currency = "USD"\n[models.gpt-4.1]\ninput = 1\noutput = 1\n', "the name in quotes"),
        ('currency = "USD"\n[models.a]\ninput = -1\noutput = 1\n', "greater than or equal to 0"),
        ('currency = "USD"\n[models.a]\ninput = nan\noutput = 1\n', "models.a.input"),
        ('currency = "USD"\n[models.a]\ninput = true\noutput = 1\n', "is no amount"),
        ('currency = "USD"\n[models.a]\ninput = 1\n', "models.a.output: Field required"),
        ("currency", "prices.toml"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_place(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match="table of prices") as refused:
        read_prices(_table(tmp_path, table))
    assert said in str(refused.value)
    assert refused.value.setting == "AGENT_TASKS_PRICES"


def test_sums_keep_the_models_apart() -> None:
    both = _used(10, 4, 5).of_model("a") + _used(20, 0, 1).of_model("a") + _used(1, 1, 1).of_model("b")
    assert both.models == {
        "a": TokenCount(prompt_tokens=30, cached_tokens=4, completion_tokens=6),
        "b": TokenCount(prompt_tokens=1, cached_tokens=1, completion_tokens=1),
    }
    assert (both.prompt_tokens, both.cached_tokens, both.total_tokens) == (31, 5, 38)
