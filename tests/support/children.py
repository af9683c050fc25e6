"""What child processes of tests need: imported by the process that they are forked from, once for all.

Children are forked by `agent_tasks.testing` and by `tests.durability.batch_worker.Fleet`; each would import
this anew, which takes a second or two.
"""

from __future__ import annotations

import functools
import gc

import asyncpg  # noqa: F401 - and what follows: to be there
import httpx
import pytest  # noqa: F401
import sqlalchemy.dialects.postgresql  # noqa: F401
from pydantic import BaseModel

import tests.batch.support
import tests.durability.batch_worker
import tests.durability.decision_process
import tests.durability.gate_worker
import tests.durability.review_process
import tests.durability.steps_batch
import tests.durability.team_worker  # noqa: F401 - and Prefect with it

# The certificates are read once, as in tests/conftest.py: no address of a test has TLS.
httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]
httpx.Client().close()


def complete(model: type[BaseModel]) -> None:
    """Build the validators of our models, which is left to their first use otherwise."""
    for below in model.__subclasses__():
        if below.__module__.startswith("agent_tasks.") and not below.__pydantic_complete__:
            below.model_rebuild(raise_errors=False)
        complete(below)


complete(BaseModel)
gc.collect()
gc.freeze()  # nobody goes through it again, nor copies its memory by that
