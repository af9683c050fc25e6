"""Texts from outside that try to forge a line of a log, or to act on the terminal of whoever reads it."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import logging
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from rich.console import Console

from agent_tasks import AsyncAgentsClient
from agent_tasks.batch.console import BatchConsole
from agent_tasks.batch.observer import Observer, observer
from agent_tasks.batch.records import AnswerRow, BatchSummary, DocumentRow, DocumentStatus, Failure
from agent_tasks.batch.run_log import RunLog, keep_run_logs_plain
from agent_tasks.cli import doctor, errors, fork, resources
from agent_tasks.doctor.findings import Finding, Status
from agent_tasks.errors import RunFailedError
from agent_tasks.logs import DETAIL, PLAIN, get_logger
from agent_tasks.operations import NO_PRICES
from agent_tasks.tools import execution

ROOT = Path(__file__).parents[2]
FORGED = "2026-11-28 12:00:00,000 INFO agent_tasks: every document is done"
EVIL = (
    f"c1\n{FORGED}\r\n{FORGED}\r{FORGED}\x0b{FORGED}\u2028{FORGED}\x85{FORGED}"
    "\x1b[2J\x1b]0;owned\x07\x1b[1A\x9b2K\x00\x08\x7f\u202eeurt\u2066\u200f\ufeff\u200b\U000e0041"
)
# Loggers of libraries that talk about their own work, depending on which tests ran before.
_OTHERS = ("asyncio", "azure.core", "httpcore", "httpx", "urllib3")
ENDPOINT = "http://127.0.0.1:9/api/projects/local"


def raw_in(text: str, *, allowed: str = "\n") -> set[str]:
    """Control and format characters in a text."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {one for one in text if unicodedata.category(one) in kinds and one not in allowed}


class Log:
    """What a log file would hold."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def check(self, *, lines: int = 1) -> None:
        """There is something, as so many records, and nothing raw or forged in it."""
        assert raw_in(self.text) == set()
        assert "owned" in self.text
        found = self.text.splitlines()
        assert not any(line.startswith("2026-11-28") for line in found)
        assert sum(line.startswith("LOG ") for line in found) == lines
        assert all(line.startswith(("LOG ", "    ")) for line in found)


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    handler = logging.StreamHandler(made.stream)
    handler.setFormatter(logging.Formatter("LOG %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: not record.name.startswith(_OTHERS))
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield made
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@pytest.fixture
def function_app(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.syspath_prepend(str(ROOT / "azure_functions"))
    return importlib.import_module


@pytest.mark.attack
def test_correlation_id_of_a_call(function_app: Callable[[str], Any], log: Log) -> None:
    queue_tool = function_app("queue_tool")

    @queue_tool.queue_tool()
    def refuse(item: str) -> str:
        """Refuse."""
        raise queue_tool.ToolError("no")

    asyncio.run(refuse.run({"item": "x"}, EVIL))
    log.check()


@pytest.mark.attack
def test_error_text_of_a_function(function_app: Callable[[str], Any], log: Log) -> None:
    queue_tool = function_app("queue_tool")

    @queue_tool.queue_tool()
    def fail(item: str) -> str:
        """Fail."""
        raise RuntimeError(EVIL)

    asyncio.run(fail.run({"item": "x"}, EVIL))
    log.check()


@pytest.mark.attack
def test_traceback_from_the_app_process(log: Log) -> None:
    get_logger("agent_tasks.functions").error(
        "%s: message %s failed", "work", "m1", extra={DETAIL: f"Traceback:\nValueError: {EVIL}"}
    )
    log.check()


@pytest.mark.attack
def test_name_of_a_tool(log: Log) -> None:
    execution.failed(EVIL, EVIL, EVIL, RuntimeError(EVIL))
    log.check()


@pytest.mark.attack
def test_header_of_an_answer(log: Log) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        headers = [(b"x-request-id", EVIL.encode("utf-8")), (b"content-type", b"application/json")]
        return httpx.Response(200, headers=headers, json={"object": "list", "data": [], "has_more": False})

    async def ask() -> None:
        transport = httpx.MockTransport(answer)
        async with AsyncAgentsClient(
            "http://127.0.0.1:9/api/projects/p", None, transport=transport
        ) as client:
            assert [one async for one in client.agents.list()] == []

    asyncio.run(ask())
    assert "answered 200" in log.text
    assert raw_in(log.text) == set()
    assert log.text.count("LOG ") == len(log.text.splitlines())


@pytest.mark.attack
@pytest.mark.parametrize("what", ["file-name", "agent-error", "agent-answer", "folder"])
def test_run_log_of_the_dashboard(log: Log, what: str) -> None:
    hostile = f"{EVIL} http://127.0.0.1/owned HTTPS://x/owned"
    watcher = RunLog(logging.getLogger("test.run"), Observer())
    if what == "folder":
        watcher.batch_started("owned", hostile, 1)
    elif what == "agent-answer":
        watcher.answer_finished(AnswerRow(id="q", question=hostile, answer=hostile), reused=False)
    else:
        status = DocumentStatus.DONE if what == "file-name" else DocumentStatus.FAILED
        watcher.batch_started("papers", "documents", 1)
        watcher.document_finished(
            DocumentRow(document=hostile, status=status, reasons=[hostile]), reused=False
        )
    log.check(lines=2 if what in ("file-name", "agent-error") else 1)
    assert "://" not in log.text


@pytest.mark.attack
def test_error_that_ends_the_flow_run(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_run_logs_plain()
    ours = {"flow_name": "document-batch", "flow_run_name": EVIL}
    logger = logging.getLogger("prefect.flow_runs")
    handler = logging.StreamHandler(log.stream)
    handler.setFormatter(logging.Formatter("LOG %(message)s"))
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [handler])  # Prefect's own sends lines to its server
    try:
        raise RunFailedError(f"{EVIL} http://127.0.0.1/owned")
    except RunFailedError:
        logger.exception("Encountered exception during execution: %s", EVIL, extra=ours)
    log.check()
    assert "://" not in log.text


@pytest.mark.attack
def test_exception_in_the_local_service(log: Log) -> None:
    try:
        raise ValueError(EVIL)
    except ValueError:
        get_logger("agents_emulator").exception("The run %s failed", EVIL)
    log.check()


@pytest.mark.attack
def test_other_librarys_line_in_our_process(log: Log) -> None:
    for handler in logging.getLogger().handlers:
        handler.addFilter(PLAIN)
    logging.getLogger("another.library").warning("%s", EVIL)
    log.check()


def _row(status: DocumentStatus, **more: Any) -> DocumentRow:
    return DocumentRow(document=EVIL, status=status, reasons=[EVIL], **more)


def _batch(console: Console, folder: Path, *, quiet: bool) -> None:
    rows = [_row(status, fields={"number": EVIL}) for status in DocumentStatus]
    results = folder / "results.jsonl"
    results.write_text("".join(json.dumps(row.model_dump(mode="json")) + "\n" for row in rows))
    answers = [
        AnswerRow(id="a", question=EVIL, answer=EVIL, sources=[EVIL]),
        AnswerRow(id="b", question=EVIL, error=Failure(type="RunServerError", message=EVIL)),
    ]
    summary = BatchSummary(
        pipeline=EVIL, documents=EVIL, total=3, done=1, needs_review=1, failed=1, answers=answers,
        results=str(results), report=EVIL, warnings=[EVIL],
    )  # fmt: skip
    with BatchConsole(console=console, quiet=quiet) as shown:
        observer().batch_started(EVIL, EVIL, 3)
        observer().phase_started(EVIL)
        observer().document_started(EVIL)
        observer().step_started(EVIL, EVIL)
        console.print(shown._render())
        for row in rows:
            observer().document_finished(row, reused=True)
        for answer in answers:
            observer().answer_finished(answer, reused=False)
        observer().batch_finished(summary)


# What rich itself writes: colours, and moving the cursor for the display that is drawn anew.
_RICH = re.compile(r"\x1b\[(?:[\d;]*m|2K|1A|\?25[hl])|\r")


@pytest.mark.attack
@pytest.mark.parametrize(
    ("terminal", "quiet"), [(True, False), (False, False), (False, True)], ids=["live", "plain", "summary"]
)
def test_terminal_of_a_run(tmp_path: Path, terminal: bool, quiet: bool) -> None:
    stream = io.StringIO()
    _batch(Console(file=stream, force_terminal=terminal, width=4000), tmp_path, quiet=quiet)
    text = _RICH.sub("", stream.getvalue()) if terminal else stream.getvalue()
    assert raw_in(text) == set()
    assert FORGED not in text.splitlines()
    assert "owned" in text


@pytest.mark.attack
def test_terminal_of_the_other_commands(capsys: pytest.CaptureFixture[str]) -> None:
    errors.say(f"Error: {EVIL}")
    resources.print_table(["NAME"], [[EVIL]])
    doctor._show(Finding("service", Status.FAILED, EVIL, EVIL))
    side = SimpleNamespace(statuses={}, turns=0, usage=SimpleNamespace(total_tokens=0))
    one = SimpleNamespace(document=EVIL, what=EVIL, before=EVIL, after=EVIL)
    comparison: Any = SimpleNamespace(
        step=EVIL, original=side, fork=side, differences=[one], answers=[one], changed=1,
        summary=SimpleNamespace(total=1), path=EVIL, prices=NO_PRICES,
    )  # fmt: skip
    Console(file=sys.stdout).print(fork.render(comparison))
    written = capsys.readouterr()
    assert raw_in(written.out + written.err) == set()
    assert (written.out + written.err).count("owned") >= 8


def test_each_module_takes_its_logger_from_one_place() -> None:
    """A logger of `logging` itself would write what it is given."""
    allowed = {
        "agent_tasks/logs.py",
        "azure_functions/logs.py",
        "agent_tasks/documents/recognition.py",  # silences rapidocr
        "agent_tasks/cli/functions.py",  # silences azure-core
        "agent_tasks/local/functions_host/app_process.py",  # the same
        "agent_tasks/batch/run_log.py",  # adds a filter to Prefect's
    }
    found = {
        str(path.relative_to(ROOT))
        for folder in ("agent_tasks", "agents_emulator", "azure_functions", "flows")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"logging\.(getLogger|basicConfig|info|warning|error)\(", path.read_text("utf-8"))
    }
    assert found <= allowed


def test_the_apps_copy_does_the_same(function_app: Callable[[str], Any]) -> None:
    from agent_tasks.display import visible

    everything = "".join(map(chr, range(0x110000)))
    assert function_app("logs").visible(everything) == visible(everything)
