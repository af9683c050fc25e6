"""The log names requests; bodies only on demand, tokens never."""

import logging

import httpx
import pytest
from pydantic import SecretStr

from tests.client.conftest import AGENT, Network


async def log_of(network: Network, caplog: pytest.LogCaptureFixture, *, logging_enable: bool) -> str:
    network.answers = [
        httpx.Response(
            200, json={**AGENT, "instructions": "private answer"}, headers={"x-request-id": "req-1"}
        )
    ]
    with caplog.at_level(logging.DEBUG):
        client = network.client(SecretStr("s3cret"), logging_enable=logging_enable)
        await client.agents.create(model="m", instructions="private question")
    return "\n".join(record.getMessage() for record in caplog.records)


async def test_request_is_logged_without_bodies(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    log = await log_of(network, caplog, logging_enable=False)
    assert "POST /assistants answered 200 in" in log
    assert "req-1" in log
    assert "private" not in log
    assert "s3cret" not in log


async def test_bodies_are_logged_on_demand_but_no_token(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    log = await log_of(network, caplog, logging_enable=True)
    assert "private question" in log
    assert "private answer" in log
    assert "s3cret" not in log
