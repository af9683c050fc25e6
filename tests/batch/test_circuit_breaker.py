"""Which failures are one document's, and which are everybody's."""

import errno

import pytest

from agent_tasks.batch.circuit_breaker import BatchStoppedError, CircuitBreaker
from agent_tasks.errors import (
    AgentTasksError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    EmptyDocumentError,
    JournalUnreadableError,
    PermissionDeniedError,
    RunFailedError,
    RunIncompleteError,
    ServerError,
    TransportError,
)


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", status=401),
        PermissionDeniedError("no", status=403),
        JournalUnreadableError("no"),
        ConfigurationError("no"),
    ],
)
def test_what_concerns_everybody_stops_at_once(error: AgentTasksError) -> None:
    breaker = CircuitBreaker(5)
    with pytest.raises(type(error)):
        breaker.failed(error)
    with pytest.raises(type(error)):
        breaker.check()


def test_a_missing_deployment_is_a_matter_of_configuration() -> None:
    for error in (
        RunFailedError("x", code="invalid_engine_error"),
        BadRequestError("x", status=400, code="DeploymentNotFound"),
    ):
        with pytest.raises(ConfigurationError, match="MODEL_DEPLOYMENT_NAME"):
            CircuitBreaker(5).failed(error)


def test_failures_of_one_kind_in_a_row_stop() -> None:
    breaker = CircuitBreaker(3)
    breaker.failed(TransportError("a"))
    breaker.failed(TransportError("b"))
    breaker.check()
    with pytest.raises(BatchStoppedError, match="the last: c"):
        breaker.failed(TransportError("c"))
    with pytest.raises(BatchStoppedError):
        breaker.check()


def test_a_success_or_another_kind_begins_the_count_again() -> None:
    breaker = CircuitBreaker(2)
    breaker.failed(TransportError("a"))
    breaker.succeeded()
    breaker.failed(TransportError("b"))
    breaker.failed(ServerError("c", status=500))
    breaker.failed(TransportError("d"))
    breaker.check()


def test_a_documents_own_failures_never_stop() -> None:
    breaker = CircuitBreaker(1)
    for error in (EmptyDocumentError("empty"), RunIncompleteError("cut off", reason="max_completion_tokens")):
        breaker.failed(error)
    breaker.check()


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"),
        BadRequestError("too long", status=400),
        FileNotFoundError(2, "gone"),
    ],
)
def test_odd_documents_in_a_row_do_not_stop_the_rest(error: Exception) -> None:
    breaker = CircuitBreaker(2)
    for _ in range(10):
        breaker.failed(error)
    breaker.check()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), MemoryError()])
def test_what_the_machine_lacks_stops(error: Exception) -> None:
    breaker = CircuitBreaker(2)
    breaker.failed(error)
    with pytest.raises(BatchStoppedError):
        breaker.failed(error)
