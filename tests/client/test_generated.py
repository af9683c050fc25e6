"""The blocking client is what the generator makes of the async one."""

import inspect

import pytest

from agent_tasks.client import AgentsClient, AsyncAgentsClient, _generate
from agent_tasks.client._generate import drift


def test_blocking_client_is_up_to_date() -> None:
    assert drift() == [], "run `make generate`"


def test_check_tells_what_is_out_of_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_generate, "generated", lambda: {_generate.TARGET / "agents.py": "other"})
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert _generate.main() == 1
    told = capsys.readouterr().err
    assert "agents.py" in told
    assert "threads.py" in told  # it is there, and nothing makes it


def test_both_clients_have_the_same_methods() -> None:
    blocking, other = (
        AgentsClient("http://127.0.0.1:1/p", None),
        AsyncAgentsClient("http://127.0.0.1:1/p", None),
    )
    resources = {name for name in vars(other) if not name.startswith("_")} - {"endpoint"}
    assert len(resources) == 9
    for name in resources:
        ours, theirs = getattr(blocking, name), getattr(other, name)
        methods = {method for method in dir(theirs) if not method.startswith("_")}
        assert methods == {method for method in dir(ours) if not method.startswith("_")}
        for method in methods:
            parameters = inspect.signature(getattr(theirs, method)).parameters
            assert list(inspect.signature(getattr(ours, method)).parameters) == list(parameters)
            assert not inspect.iscoroutinefunction(getattr(ours, method))
