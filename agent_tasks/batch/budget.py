"""What a batch may spend: reserved before a turn is begun, settled when it has ended, both in the journal.

A turn is begun if what it may cost at most, as far as that can be told beforehand, fits into what is left.
Where it does not, and turns of this batch are under way, it waits for them: they may cost less than they have
reserved. Where nothing is under way the batch is stopped, and resumes with a higher budget.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal

from agent_tasks.backends.usage import TokenCount
from agent_tasks.batch.circuit_breaker import BudgetReachedError
from agent_tasks.errors import PriceUnknownError
from agent_tasks.journal import OperationState
from agent_tasks.journal.records import UNSETTLED
from agent_tasks.operations import Cost, Prices, TurnResult, TurnSpec, Usage, Workspace, turn_key
from agent_tasks.pipeline.loader import Pipeline
from agent_tasks.pipeline.schema import BudgetSection
from agent_tasks.steps.tokens import estimate_tokens

__all__ = ["NEAR", "Budget", "require_prices"]

NEAR = 0.8
"""The share of a budget from which on people are told of it."""

_IMAGE_TOKENS = 1_600
_LOOK_SECONDS = 1.0  # between looks at what other workers spend; longer where looking takes long
_LOOK_SHARE = 20

_is_inside: ContextVar[bool] = ContextVar("agent_tasks_turn_with_a_budget", default=False)


def require_prices(pipeline: Pipeline, prices: Prices) -> None:
    """Make sure that a budget in money can be kept: each model has a price in its currency.

    Raises:
        PriceUnknownError: one has none, or there is no table of prices.
    """
    section = pipeline.file.budget
    if section is None or section.money is None:
        return
    currency = section.money.currency
    if not prices:
        raise PriceUnknownError(
            f"{pipeline.path}: budget.money is set to {section.money}, and nobody has said what tokens cost. "
            "Name a table of prices in AGENT_TASKS_PRICES (docs/operating.md), or set budget.tokens.",
            setting="AGENT_TASKS_PRICES",
        )
    unknown = [name for name in pipeline.models() if prices.currency_of(name) is None]
    if unknown:
        raise PriceUnknownError(
            f"{pipeline.path}: budget.money is set to {section.money}, and the table of prices "
            f"(AGENT_TASKS_PRICES) does not have: {', '.join(unknown)}. An unknown price is not zero: add "
            "it, or set budget.tokens.",
            setting="AGENT_TASKS_PRICES",
        )
    foreign = {name: prices.currency_of(name) for name in pipeline.models()}
    others = [f"{name} in {other}" for name, other in foreign.items() if other != currency]
    if others:
        raise PriceUnknownError(
            f"{pipeline.path}: budget.money is in {currency}, and the table of prices (AGENT_TASKS_PRICES) "
            f"has {', '.join(others)}. Currencies are not converted: write both in one.",
            setting="AGENT_TASKS_PRICES",
        )


class Budget:
    """What a batch may spend, and has spent.

    Args:
        ws: the journal, and the table of prices.
        owner: the batch's owner; turns of its parts count too.
        section: the bounds.
        completion_tokens: tokens of an answer, for turns that set no bound.
    """

    def __init__(self, ws: Workspace, owner: str, section: BudgetSection, completion_tokens: int) -> None:
        self._ws = ws
        self._owner = owner
        self._section = section
        self._completion_tokens = completion_tokens
        self._told = Usage()  # by the journal
        self._own = Usage()
        self._reserved: dict[str, Usage] = {}
        self._begun = self._looked_at = ws.journal.turn_spending.now()
        self._period = 0.0
        self._pause = 0.0
        self._is_stale = True
        self._changed = asyncio.Condition()

    async def look(self) -> None:
        """Read what earlier runs, and other workers, have spent.

        Raises:
            PriceUnknownError: there were turns whose price is not known.
            JournalError: the journal can't be read.
        """
        spending, period = self._ws.journal.turn_spending, _began(self._section.per)
        if period != self._period:  # the day, or the month, is another one
            self._period, self._begun, self._own = period, spending.now(), Usage()
        self._is_stale, began = False, time.monotonic()
        rows = await spending.of(
            self._ws.scope,
            self._owner,
            since=period,
            own_since=self._begun,
            under_way=tuple(self._reserved),
        )
        self._pause = max(_LOOK_SECONDS, _LOOK_SHARE * (time.monotonic() - began))
        self._looked_at = time.monotonic()
        self._told = sum((_usage(row.model, row.prompt_tokens, row.cached_tokens, row.completion_tokens)
                          for row in rows), start=Usage())  # fmt: skip
        self._money(self.spent)

    @property
    def spent(self) -> Usage:
        """What has been spent, and what is reserved for turns whose outcome is not known."""
        return sum(self._reserved.values(), start=self._told + self._own)

    def share(self) -> float:
        """How much of the budget is spent: 1 is all of it."""
        spent, section = self.spent, self._section
        shares = [spent.total_tokens / section.tokens] if section.tokens else []
        if section.money is not None and (money := self._money(spent)) is not None:
            shares.append(float(money / section.money.amount))
        return max(shares)

    def text(self) -> str:
        """Such as `4.21 of 5.00 USD` or `12,000 of 20,000 tokens a day`."""
        spent, section = self.spent, self._section
        said = [f"{spent.total_tokens:,} of {section.tokens:,} tokens"] if section.tokens else []
        if section.money is not None and (money := self._money(spent)) is not None:
            said.append(f"{_shown(money)} of {section.money}")
        return f"{', '.join(said)}{'' if section.per == 'batch' else f' a {section.per}'}"

    async def spend(
        self, turn: TurnSpec, model: str, run: Callable[[TurnSpec], Awaitable[TurnResult]]
    ) -> TurnResult:
        """Carry a turn out, if it may be paid for.

        Args:
            turn: the turn.
            model: the model deployment that it asks.
            run: carries it out.

        Raises:
            BudgetReachedError: it may not.
        """
        key = turn_key(turn)
        found = await self._ws.journal.operations.get(self._ws.scope, key)
        if found is not None and found.state is OperationState.DONE:
            return await run(turn)
        wanted = await self._most(turn, model)
        if found is None or found.state not in UNSETTLED:
            await self._reserve(key, wanted, turn)
        else:  # begun, and reserved for, by an earlier run: it is followed, whatever is left
            self._reserved[key] = wanted
            await self.look()
        used = wanted.models[model]
        token = _is_inside.set(True)
        try:
            result = await run(turn.model_copy(update={"reserved": used}))
        except BaseException:
            self._is_stale = True  # what is known of it is in the journal
            raise
        else:
            if result.reused:  # another worker had it
                self._is_stale = True
            else:
                self._own = self._own + result.usage.of_model(model)
            return result
        finally:
            _is_inside.reset(token)
            self._reserved.pop(key, None)
            async with self._changed:
                self._changed.notify_all()

    async def _reserve(self, key: str, wanted: Usage, turn: TurnSpec) -> None:
        """Wait until a turn fits into what is left, and reserve it."""
        async with self._changed:
            while True:
                if self._is_stale or self._is_to_be_looked_at():
                    await self.look()
                why = self._lacking(wanted)
                if why is None:
                    self._reserved[key] = wanted
                    return
                # A turn that another one waits for, such as in a function of its, can't wait for that one.
                if not self._reserved or _is_inside.get():
                    raise BudgetReachedError(
                        f"The budget is used up: {why} (step {turn.step!r}). What is done is kept: raise it "
                        f"and run the same command again{self._or_wait()}.",
                        spent=self.text(),
                    )
                await self._changed.wait()

    def _is_to_be_looked_at(self) -> bool:
        if _began(self._section.per) != self._period:
            return True
        return self._ws.journal.is_shared and time.monotonic() - self._looked_at > self._pause

    def _or_wait(self) -> str:
        return "" if self._section.per == "batch" else f", or run it on another {self._section.per}"

    def _lacking(self, wanted: Usage) -> str | None:
        """Which bound a turn would pass; None: it fits."""
        spent, section = self.spent, self._section
        if section.tokens and spent.total_tokens + wanted.total_tokens > section.tokens:
            return (
                f"{spent.total_tokens:,} of {section.tokens:,} tokens (budget.tokens) are spent, and the "
                f"next turn may cost {wanted.total_tokens:,}"
            )
        if section.money is None:
            return None
        before, after = self._money(spent) or Decimal(0), self._money(spent + wanted) or Decimal(0)
        if after <= section.money.amount:
            return None
        return (
            f"{_shown(before)} of {section.money} (budget.money) are spent, and the next turn may cost "
            f"{_shown(after - before)}"
        )

    def _money(self, usage: Usage) -> Decimal | None:
        """What a usage costs in the budget's currency; None: the budget is not in money."""
        if self._section.money is None:
            return None
        currency = self._section.money.currency
        cost = self._ws.prices.cost(usage) or Cost()
        if cost.unpriced or set(cost.amounts) - {currency}:
            unknown = [*cost.unpriced_models(), *(set(cost.amounts) - {currency})]
            raise PriceUnknownError(
                f"What this batch has spent can't be told in {currency} (budget.money), since earlier turns "
                f"were by: {', '.join(unknown)}. Add their prices in {currency} to the table "
                "(AGENT_TASKS_PRICES), or set budget.tokens.",
                setting="AGENT_TASKS_PRICES",
            )
        return cost.amounts.get(currency, Decimal(0))

    async def _most(self, turn: TurnSpec, model: str) -> Usage:
        """What a turn may cost, as far as that is known before; rounds with tools are not."""
        texts = [turn.prompt, turn.instructions or ""]
        if turn.agent.spec is not None:
            spec = turn.agent.spec
            texts += [spec.instructions or "", json.dumps([*spec.tools], default=str) if spec.tools else ""]
        if turn.response_format is not None:
            texts.append(json.dumps(turn.response_format, default=str))
        prompt = sum(estimate_tokens(text) for text in texts) + _IMAGE_TOKENS * len(turn.images)
        if turn.after is not None:  # all that was said before is sent again
            before = await self._ws.journal.operations.get(self._ws.scope, turn.after)
            if before is not None and before.state is OperationState.DONE:
                prompt += before.written.read(TurnResult, before.result).usage.total_tokens
        return _usage(model, prompt, 0, turn.max_completion_tokens or self._completion_tokens)


def _usage(model: str, prompt: int, cached: int, completion: int) -> Usage:
    used = TokenCount(prompt_tokens=prompt, cached_tokens=cached, completion_tokens=completion)
    return Usage(
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        models={model: used} if model else {},
    )


def _shown(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.01') if amount >= 1 else Decimal('0.0001')):,}"


def _began(per: str) -> float:
    """When the period began that is now (seconds since the epoch, UTC); 0: it is all time."""
    if per == "batch":
        return 0.0
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day if per == "day" else day.replace(day=1)).timestamp()
