"""The tree of errors: documented, complete, picklable."""

import copy
import inspect
import pickle
import re
from dataclasses import fields
from typing import Any

import pytest

from agent_tasks import errors
from agent_tasks.errors import AgentTasksError, ServerError, ServiceError

CLASSES = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, AgentTasksError)
]
VALUES: dict[str, Any] = {
    "status": 503,
    "retryable": True,
    "retry_after": 1.5,
    "outcome_unknown": True,
    "line": 7,
}


def example(cls: type[AgentTasksError]) -> AgentTasksError:
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    return cls("what failed", **{p.name: VALUES.get(p.name, f"the {p.name}") for p in parameters})


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_error_survives_pickling_with_everything_it_carries(
    cls: type[AgentTasksError], protocol: int
) -> None:
    error = example(cls)
    error.add_note("seen by the caller")
    for twin in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301
        assert type(twin) is cls
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
        assert "what failed" in str(twin)


@pytest.mark.parametrize("cls", CLASSES)
def test_error_says_whether_and_when_to_try_again(cls: type[AgentTasksError]) -> None:
    required = {
        parameter.name: VALUES.get(parameter.name, f"the {parameter.name}")
        for parameter in list(inspect.signature(cls).parameters.values())[1:]
        if parameter.default is parameter.empty
    }
    error = cls("x", **required)
    assert isinstance(error.retryable, bool)
    assert error.retryable is cls.retryable, "declared by the class"
    assert error.retry_after is None


def test_docstring_draws_the_tree_as_it_is() -> None:
    drawn: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([│ ├└─]*)(\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 3
            above[depth:] = [found[2]]
            drawn[found[2]] = above[depth - 1] if depth else None
    assert drawn == {
        cls.__name__: cls.__base__.__name__ if cls is not AgentTasksError and cls.__base__ else None
        for cls in CLASSES
    }
    assert sorted(drawn) == sorted(errors.__all__)


@pytest.mark.parametrize("cls", CLASSES)
def test_what_an_error_carries_is_declared_and_typed(cls: type[AgentTasksError]) -> None:
    declared = {field.name for field in fields(cls)}
    assert set(vars(example(cls))) == declared, "each attribute is declared, each declared one is set"
    assert set(inspect.signature(cls).parameters) == declared
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        cls("x", **{"nonsense": 1})


def test_a_declared_field_may_be_secret_and_the_text_says_so_nowhere() -> None:
    secret = "AccountKey=" + "Zm9vYmFy" * 8
    error = errors.PipelineError("is wrong", remedy=f"Leave out {secret}.")
    assert "Zm9vYmFy" not in str(error)


def test_service_error_reads_as_one_sentence() -> None:
    error = ServerError(
        "went wrong", status=500, code="server_error", request_id="r", method="GET", path="/threads/t"
    )
    assert str(error) == "GET /threads/t answered 500 server_error: went wrong [request id r]"
    assert str(ServiceError("", status=418)) == "the service answered 418 without a message"


def test_pipeline_error_starts_with_the_place() -> None:
    error = errors.PipelineError(
        "is missing", path="p.yaml", line=3, field="agents.a.model", remedy="Name a deployment."
    )
    assert str(error) == "p.yaml:3: agents.a.model: is missing Name a deployment."
