"""The first answer to each call, in a table: a duplicate gets it again, and no call is computed twice.

A row is claimed before the function runs, with a lease that its host renews; every change carries the row's
ETag, so of two hosts one wins.

| state | meaning |
| --- | --- |
| `claimed` | a host is at work; if its lease has ended, the host is gone and how far it came is unknown |
| `released` | a try ended without effect; the next one may begin |
| `answered` | `answer` is what every further delivery of the call gets |
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import app_settings
from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableEntity, UpdateMode
from azure.data.tables.aio import TableClient
from logs import get_logger
from storage import storage

logger = get_logger("queue_tools")

CLOCK_SKEW = 5.0
"""Seconds by which the clocks of two hosts may differ."""

PURGE_AT_ONCE = 5_000
"""Rows removed by one purge at most; the next one continues."""


class ClaimLostError(Exception):
    """Another host has taken the call over, since this one gave no sign for longer than its lease."""


@dataclass(frozen=True)
class Stored:
    """The answer that the call got the first time."""

    answer: str
    same_arguments: bool
    may_redrive: bool
    """Whether it is an error from the poison queue of a call that may be computed again."""
    etag: str


@dataclass(frozen=True)
class Busy:
    """Another delivery of the call is at work."""


@dataclass
class Claim:
    """This delivery may work on the call."""

    etag: str
    host: str
    """Marks the row as this claim's."""
    is_orphan: bool
    """Whether nobody knows how far an earlier try came: it was interrupted, or its row is gone."""
    failure: str
    """What the last try that ended without effect said; "" for none."""


class AnswerStore:
    """The answers of one tool in the table of the app."""

    def __init__(self, tool: str) -> None:
        self.tool = tool

    async def claim(
        self, correlation_id: str, arguments: dict[str, Any], *, redrive: bool = False
    ) -> Claim | Stored | Busy:
        """Ask to work on a call.

        With `redrive`, a call that was answered with an error from the poison queue is begun anew; one that
        has no row any more counts as interrupted, since it was tried before.
        """
        table = await _table()
        key = {"PartitionKey": self.tool, "RowKey": _row_key(correlation_id)}
        fields = {
            **key, "CorrelationId": correlation_id, "ArgumentsHash": _hash(arguments), "State": "claimed",
            "Host": uuid.uuid4().hex, "Failure": "", **_lease(), **_expiry(),
        }  # fmt: skip
        is_orphan, failure = redrive, ""
        while True:
            try:
                made = await table.create_entity(fields)
                return Claim(made["etag"], fields["Host"], is_orphan, failure)
            except ResourceExistsError:
                pass
            except ResourceNotFoundError:
                _known.clear()  # the table was deleted; the next delivery makes it again
                raise
            try:
                row = await table.get_entity(self.tool, key["RowKey"])
            except ResourceNotFoundError:
                continue  # purged between the two
            if row["Host"] == fields["Host"]:
                # Ours: the request was repeated after its answer was lost. What it replaced is known from
                # the pass before.
                return Claim(_etag(row), row["Host"], is_orphan, failure)
            is_orphan, failure = False, str(row.get("Failure", ""))
            if row["ExpiresAt"] <= datetime.now(UTC):
                is_orphan, failure = redrive, ""
            elif row["State"] == "answered":
                stored = Stored(
                    bytes(row["Answer"]).decode(),
                    row["ArgumentsHash"] == fields["ArgumentsHash"],
                    bool(row.get("MayRedrive")),
                    _etag(row),
                )
                if not (redrive and stored.may_redrive and stored.same_arguments):
                    return stored
            elif row["State"] == "claimed":
                if time.time() < row["LeaseUntil"] + CLOCK_SKEW:
                    return Busy()
                is_orphan = True
            try:
                etag = await self._replace(table, {**fields, "Failure": failure}, _etag(row))
            except ClaimLostError:
                continue  # somebody else was quicker; see what became of it
            return Claim(etag, fields["Host"], is_orphan, failure)

    async def renew(self, correlation_id: str, claim: Claim) -> None:
        """Prolong the lease. Raises ClaimLostError."""
        await self._merge(correlation_id, claim, _lease())

    async def release(self, correlation_id: str, claim: Claim, failure: str) -> None:
        """A try ended without effect; the next delivery may begin. Raises ClaimLostError."""
        await self._merge(correlation_id, claim, {"State": "released", "Failure": failure[:500]})

    async def finish(
        self, correlation_id: str, claim: Claim, answer: str, *, may_redrive: bool = False
    ) -> None:
        """Keep the answer for every further delivery. Raises ClaimLostError."""
        fields = {"State": "answered", "Answer": answer.encode(), "MayRedrive": may_redrive, **_expiry()}
        await self._merge(correlation_id, claim, fields)

    async def _merge(self, correlation_id: str, claim: Claim, fields: dict[str, Any]) -> None:
        table = await _table()
        entity = {"PartitionKey": self.tool, "RowKey": _row_key(correlation_id), **fields}
        try:
            claim.etag = await self._replace(table, entity, claim.etag, UpdateMode.MERGE)
        except ClaimLostError:
            # A request that was repeated after its answer was lost finds its own change.
            try:
                row = await table.get_entity(self.tool, entity["RowKey"])
            except ResourceNotFoundError:
                raise ClaimLostError(f"{self.tool}: the row of the call is gone") from None
            if row["Host"] != claim.host:
                raise
            claim.etag = await self._replace(table, entity, _etag(row), UpdateMode.MERGE)

    async def _replace(
        self, table: TableClient, entity: dict[str, Any], etag: str, mode: UpdateMode = UpdateMode.REPLACE
    ) -> str:
        try:
            changed = await table.update_entity(
                entity, mode=mode, etag=etag, match_condition=MatchConditions.IfNotModified
            )
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise ClaimLostError(f"{self.tool}: another host has taken the call over") from error
        return str(changed["etag"])


async def purge() -> int:
    """Remove the rows whose time is over; returns how many. Whatever was changed meanwhile stays."""
    table = await _table()
    removed = 0
    expired = table.query_entities(
        "ExpiresAt lt @now", parameters={"now": datetime.now(UTC)}, select=["PartitionKey", "RowKey"]
    )
    async for row in expired:
        try:
            await table.delete_entity(row, etag=_etag(row), match_condition=MatchConditions.IfNotModified)
        except (ResourceModifiedError, ResourceNotFoundError):
            continue
        removed += 1
        if removed == PURGE_AT_ONCE:
            break
    return removed


_known: set[str] = set()


async def _table() -> TableClient:
    tables = storage().tables()
    name = app_settings.answers_table()
    table = tables.get_table_client(name)
    place = f"{table.url}/{name}"
    if place not in _known:
        with suppress(ResourceExistsError):
            await tables.create_table(name)
        _known.add(place)
    return table


def _etag(row: TableEntity) -> str:
    return str(row.metadata["etag"])


def _lease() -> dict[str, Any]:
    return {"LeaseUntil": time.time() + app_settings.claim_lease()}


def _expiry() -> dict[str, Any]:
    return {"ExpiresAt": datetime.now(UTC) + timedelta(seconds=app_settings.answer_lifetime())}


def _row_key(correlation_id: str) -> str:
    """Ids may hold characters that a row's key may not."""
    return hashlib.sha256(correlation_id.encode("utf-8", "surrogatepass")).hexdigest()


def _hash(arguments: dict[str, Any]) -> str:
    text = json.dumps(arguments, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = ["AnswerStore", "Busy", "Claim", "ClaimLostError", "Stored", "purge"]
