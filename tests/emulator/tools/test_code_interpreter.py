"""Code interpreter over HTTP: results, files, images, variables, streams, its end with the run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents_emulator.engine.citing import FileMentions
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.code_interpreter import safe_name
from tests.emulator.helpers import (
    WEATHER_TOOL,
    Json,
    agent,
    answer_calls,
    get,
    needs_recordings,
    parse_events,
    post,
    recording,
    stream,
    turn,
    upload,
    wait_for,
    wait_run,
)
from tests.emulator.tools.conftest import Turns, rules_for
from tests.support.jails import needs_jail
from tests.support.service import RunningService

pytestmark = needs_jail

NAME = "code_interpreter"
TOOL = {"type": NAME}
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint('drawn')"


@pytest.fixture(scope="module")
def running(start: Any) -> RunningService:
    started: RunningService = start(rules_for(NAME))
    return started


@pytest.fixture
def turns(running: RunningService) -> Iterator[Turns]:
    with running.http() as client:
        yield Turns(client, agent(client, tools=[TOOL]))


def logs(call: Json) -> str:
    return "".join(out["logs"] for out in call[NAME]["outputs"] if out["type"] == "logs")


def test_printed_text_and_the_last_value_come_back(turns: Turns) -> None:
    call = turns.call(NAME, {"code": "print('a')\n6 * 7"})
    assert list(call) == ["id", "type", NAME]
    assert call[NAME] == {"input": "print('a')\n6 * 7", "outputs": [{"type": "logs", "logs": "a\n42\n"}]}
    assert turns.answer_text() == "a\n42\n"


@pytest.mark.parametrize("arguments", ['{"input": "1 + 1"}', "1 + 1"])
def test_code_is_taken_as_input_and_as_plain_text(turns: Turns, arguments: str) -> None:
    assert logs(turns.call(NAME, arguments)) == "2\n"


def test_an_error_is_an_output_and_shows_the_line(turns: Turns) -> None:
    output = logs(turns.call(NAME, {"code": "x = 1\nx / 0"}))
    assert 'File "<code>", line 2' in output
    assert output.endswith("ZeroDivisionError: division by zero\n")
    assert "executor" not in output


def test_no_code_is_answered_to_the_model(turns: Turns) -> None:
    assert logs(turns.call(NAME, {"code": " "})) == "There is no code to execute."


def test_variables_functions_and_files_live_as_long_as_the_thread(
    turns: Turns, running: RunningService
) -> None:
    code = (
        "import math\nn = 3\ndef area(r): return round(math.pi * r * r * n)\nopen('kept.txt', 'w').write('k')"
    )
    turns.call(NAME, {"code": code + "\ng = (i for i in [1])"})
    assert "variable g of type generator is not kept" in turns.answer_text()
    assert logs(turns.again(NAME, {"code": "area(1), open('/mnt/data/kept.txt').read()"})) == "(9, 'k')\n"
    folder = running.data_dir / "interpreter" / turns.run["thread_id"]
    assert folder.is_dir()
    turns.client.delete(f"/threads/{turns.run['thread_id']}")
    assert not folder.exists()


def test_threads_do_not_see_each_other(turns: Turns) -> None:
    turns.call(NAME, {"code": "secret = 1\nopen('secret.txt', 'w').write('s')"})
    output = logs(
        turns.call(NAME, {"code": "import os\nprint(os.listdir('/mnt/data'), 'secret' in globals())"})
    )
    assert output == "[] False\n"


def test_files_of_agent_and_message_are_readable_under_safe_names_and_ids(running: RunningService) -> None:
    with running.http() as client:
        first = upload(client, "../../etc/sales data.csv", b"a,b\n1,2\n")
        second = upload(client, "notes.txt", b"noted")
        resources = {NAME: {"file_ids": [first]}}
        turns = Turns(client, agent(client, tools=[TOOL], tool_resources=resources))
        code = (
            "import os, pandas as pd\n"
            f"print(pd.read_csv('/mnt/data/sales data.csv').b[0], open('/mnt/data/{first}').read()[:3])\n"
            "print(sorted(os.listdir('.')) if not os.path.exists('notes.txt') else open('notes.txt').read())"
        )
        assert logs(turns.call(NAME, {"code": code})) == f"2 a,b\n{sorted([first, 'sales data.csv'])}\n"
        attachment = {"file_id": second, "tools": [TOOL]}
        assert logs(turns.again(NAME, {"code": code}, attachments=[attachment])) == "2 a,b\nnoted\n"


def test_a_shown_figure_is_an_image_of_the_step_and_of_the_message(turns: Turns) -> None:
    call = turns.call(NAME, {"code": PLOT})
    text, image = call[NAME]["outputs"]
    assert text == {"type": "logs", "logs": "drawn\n"}
    assert image["type"] == "image"
    file_id = image["image"]["file_id"]
    file = get(turns.client, f"/files/{file_id}")
    assert file["purpose"] == "assistants_output"
    assert file["created_at"] > 1_700_000_000
    content = turns.client.get(f"/files/{file_id}/content").content
    assert content.startswith(b"\x89PNG")
    assert len(content) == file["bytes"]
    blocks = turns.answer()["content"]
    assert blocks[0] == {"type": "image_file", "image_file": {"file_id": file_id}}
    assert blocks[1]["text"]["value"] == "drawn\n[1 image shown to the user]"


def test_a_saved_figure_comes_once_and_a_mentioned_file_is_annotated(start: Any) -> None:
    answer = (
        "Here: [csv](sandbox:/mnt/data/out.csv), sandbox:/mnt/data/out.csv.gz and sandbox:/mnt/data/none."
    )
    with start(rules_for(NAME, answer=answer)).http() as client:
        turns = Turns(client, agent(client, tools=[TOOL]))
        code = (
            "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.savefig('p.png')\n"
            "open('out.csv', 'w').write('a,b')\nopen('out.csv.gz', 'w').write('z')"
        )
        outputs = turns.call(NAME, {"code": code})[NAME]["outputs"]
        assert [output["type"] for output in outputs] == ["logs", "image"]
        text = turns.answer()["content"][1]["text"]
        assert text["value"] == answer
        found = text["annotations"]
        assert [a["text"] for a in found] == ["sandbox:/mnt/data/out.csv", "sandbox:/mnt/data/out.csv.gz"]
        for annotation in found:
            assert annotation["type"] == "file_path"
            assert answer[annotation["start_index"] : annotation["end_index"]] == annotation["text"]
        content = client.get(f"/files/{found[0]['file_path']['file_id']}/content").content
        assert content == b"a,b"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("..txt", "_.txt"),
        (".txt", "txt"),
        ("a/../..csv", "_.csv"),
        ("sales data.csv", "sales data.csv"),
        ("...", "file"),
        ("", "file"),
        ("a\x1b[2J\u202eb\n.txt", "a_[2J_b_.txt"),
        ("\ud800.txt", "_.txt"),
        ("Größe.txt", "Größe.txt"),
        ("x" * 300 + ".docx", "x" * 150 + ".docx"),
    ],
)
def test_names_of_uploads_become_names_of_files(given: str, name: str) -> None:
    assert safe_name(given) == name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("out.csv", "out.csv"),
        ("sales%20data.csv", "sales data.csv"),
        ("sales data.csv", "sales data.csv"),
        ("Gr%c3%b6%C3%9Fe.csv", "Größe.csv"),
        ("Grö%C3%9Fe.csv", "Größe.csv"),
        ("50%25.csv", "50%.csv"),
        ("50%.csv", "50%.csv"),
        ("out.csv.gz", "out.csv.gz"),
        ("%6Fut.csv", "out.csv"),
        ("sales%20", None),
        ("none.csv", None),
    ],
)
def test_a_link_is_found_however_it_is_encoded(written: str, name: str | None) -> None:
    names = ["out.csv", "out.csv.gz", "sales data.csv", "Größe.csv", "50%.csv", "50%25.csvx"]
    text = f"See [it](sandbox:/mnt/data/{written}) and sandbox:/mnt/data/"
    for size in (1, 2, 7, len(text)):
        mentions = FileMentions(None, names)  # type: ignore[arg-type]  # only finding is tried here
        parts = [text[at : at + size] for at in range(0, len(text), size)]
        pieces = [piece for part in parts for piece in mentions.feed(part)] + mentions.finish()
        assert "".join(plain for plain, _ in pieces) == text
        expected = [(f"sandbox:/mnt/data/{written}", name)] if name else []
        assert [piece for piece in pieces if piece[1]] == expected


def test_a_percent_encoded_link_is_annotated(start: Any) -> None:
    answer = "Here: [csv](sandbox:/mnt/data/sales%20data.csv)."
    with start(rules_for(NAME, answer=answer)).http() as client:
        turns = Turns(client, agent(client, tools=[TOOL]))
        turns.call(NAME, {"code": "open('sales data.csv', 'w').write('a,b')"})
        text = turns.answer()["content"][0]["text"]
        (annotation,) = text["annotations"]
        assert annotation["text"] == "sandbox:/mnt/data/sales%20data.csv"
        assert answer[annotation["start_index"] : annotation["end_index"]] == annotation["text"]


def test_code_and_functions_in_one_turn_share_a_step(start: Any) -> None:
    calls = [{"name": NAME, "arguments": {"code": "20 + 1"}}, {"name": "get_weather", "arguments": {}}]
    rules = {
        "rules": [
            {"when": {"tool_results": False}, "reply": {"tool_calls": calls}},
            {"when": {}, "reply": {"text": "{{ tool_results | join('|') }}"}},
        ]
    }
    with start(rules).http() as client:
        turns = Turns(client, agent(client, tools=[TOOL, WEATHER_TOOL]))
        turns.call(NAME, {})
        waiting = turns.run
        assert waiting["status"] == "requires_action"
        required = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
        assert [call["type"] for call in required] == ["function"]
        open_step = turns.steps()[0]
        assert open_step["status"] == "in_progress"
        assert logs(open_step["step_details"]["tool_calls"][0]) == "21\n"
        post(client, f"{turns.path}/submit_tool_outputs", answer_calls(waiting, "sunny"))
        turns.run = wait_run(client, waiting)
        assert turns.answer_text() == "21\n|sunny"
        assert [step["type"] for step in turns.steps()] == ["tool_calls", "message_creation"]


@needs_recordings
def test_the_stream_has_the_recorded_shape(turns: Turns) -> None:
    entry = next(
        e for e in recording("py_code_interpreter_tool_streaming.json") if "/runs?" in e["RequestPath"]
    )
    recorded = parse_events("".join(entry["ResponseBody"]))
    code = "print('one')\nprint('two')"
    body = turn(turns.agent_id, f"call {NAME} {code}")
    mine = stream(turns.client, "/threads/runs", body)

    def step_events(events: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [e for e in events if e[0].startswith("thread.run.step")]

    theirs = next(b for n, b in recorded if n == "thread.run.step.completed" and b["type"] == "tool_calls")
    ours = next(b for n, b in mine if n == "thread.run.step.completed" and b["type"] == "tool_calls")
    assert list(ours) == list(theirs)
    assert list(ours["step_details"]["tool_calls"][0]) == list(theirs["step_details"]["tool_calls"][0])
    assert list(ours["usage"]) == list(theirs["usage"])
    deltas = [b["delta"]["step_details"] for n, b in mine if n == "thread.run.step.delta"]
    their_delta = next(b["delta"]["step_details"] for n, b in recorded if n == "thread.run.step.delta")
    assert all(delta["type"] == their_delta["type"] for delta in deltas)
    first, *pieces, output = [delta["tool_calls"][0] for delta in deltas]
    assert first[NAME] == {"input": "", "outputs": []}
    assert first["id"] == ours["step_details"]["tool_calls"][0]["id"]
    assert all(list(piece) == list(their_delta["tool_calls"][0]) for piece in pieces)
    assert "".join(piece[NAME]["input"] for piece in pieces) == code
    assert output[NAME] == {"outputs": [{"index": 0, "type": "logs", "logs": "one\ntwo\n"}]}
    runs = [name for name, _ in mine if name.startswith("thread.run.") and ".step." not in name]
    assert runs == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.completed",
    ]
    assert step_events(mine)[0][1]["step_details"] == {"type": "tool_calls", "tool_calls": []}


def test_a_forced_code_interpreter_is_called_and_then_no_more(running: RunningService) -> None:
    with running.http() as client:
        turns = Turns(client, agent(client, tools=[TOOL]))
        assert logs(turns.call(NAME, {"code": "1"}, tool_choice=TOOL)) == "1\n"
        assert turns.run["status"] == "completed"


def parents() -> dict[int, int]:
    """Parent of every process of a jail: bubblewrap, the jail's first one, and the one that executes code."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if b"\0/jail\0" in command:
                found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def processes_of(service: int = os.getpid()) -> set[int]:
    """Those that a service started, by its process id."""
    known = parents()
    found: set[int] = set()
    new = {service}
    while new:
        new = {pid for pid, parent in known.items() if parent in new}
        found |= new
    return found


@pytest.fixture
def sleeping(running: RunningService) -> Iterator[tuple[httpx.Client, Json]]:
    """A run whose code sleeps."""
    with running.http() as client:
        agent_id = agent(client, tools=[TOOL])
        body = turn(agent_id, f"call {NAME} import time; time.sleep(14)")
        run = post(client, "/threads/runs", body)
        wait_for(lambda: len(processes_of()) == 3)
        yield client, run
        wait_for(lambda: not processes_of(), 3)


def test_cancelling_a_run_ends_its_code(sleeping: tuple[httpx.Client, Json]) -> None:
    client, run = sleeping
    post(client, f"/threads/{run['thread_id']}/runs/{run['id']}/cancel")
    assert wait_run(client, run, "cancelled")["status"] == "cancelled"
    step = get(client, f"/threads/{run['thread_id']}/runs/{run['id']}/steps")["data"][0]
    assert step["status"] == "cancelled"


def test_deleting_a_thread_ends_its_code(sleeping: tuple[httpx.Client, Json]) -> None:
    client, run = sleeping
    assert client.delete(f"/threads/{run['thread_id']}").status_code == 200


def test_the_expiry_of_a_run_ends_its_code(service: Any) -> None:
    running = service(rules=rules_for(NAME), config=ServiceConfig(run_ttl=1))
    with running.http() as client:
        body = turn(agent(client, tools=[TOOL]), f"call {NAME} import time; time.sleep(14)")
        run = wait_run(client, post(client, "/threads/runs", body))
    assert run["status"] == "expired"
    wait_for(lambda: not processes_of(), 3)


def test_no_code_survives_a_killed_service_and_a_new_one_executes_it_from_where_it_began(
    service: Any,
) -> None:
    code = "import os, time\nn = len(os.listdir('.'))\nopen(f'try-{n}', 'w')\ntime.sleep(3)\nn"
    running = service(rules=rules_for(NAME), process=True)
    with running.http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[TOOL]), f"call {NAME} {code}"))
        wait_for(lambda: len(processes_of(running.process.pid)) == 3)
        child = processes_of(running.process.pid)
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait(5)
    wait_for(lambda: not child & parents().keys(), 3)
    running.restart()
    with running.http() as client:
        turns = Turns(client, run["assistant_id"])
        turns.run = wait_run(client, run)
        assert logs(turns.tool_call()) == "0\n"
        assert len([s for s in turns.steps() if s["type"] == "tool_calls"]) == 1
        assert logs(turns.again(NAME, {"code": code.replace("sleep(3)", "sleep(0)")})) == "1\n"
    assert len(running.generations()) == 4


def test_without_bubblewrap_the_run_fails_and_says_what_helps(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    running = service(rules=rules_for(NAME))
    with running.http() as client:
        agent_id = agent(client, tools=[TOOL])
        run = wait_run(client, post(client, "/threads/runs", turn(agent_id, f"call {NAME} 1")))
        assert run["status"] == "failed"
        assert run["last_error"]["code"] == "unsupported_tool"
        assert "bwrap is not installed" in run["last_error"]["message"]
        assert "Install bubblewrap" in run["last_error"]["message"]
        idle = wait_run(client, post(client, "/threads/runs", turn(agent_id, "hello")))
        assert idle["status"] == "completed"


def test_a_new_upload_does_not_hide_behind_a_file_of_the_code(turns: Turns) -> None:
    turns.call(NAME, {"code": "open('report.txt', 'w').write('made by code')"})
    attachment = {"file_id": upload(turns.client, "report.txt", b"uploaded"), "tools": [TOOL]}
    output = logs(turns.again(NAME, {"code": "print(open('report-2.txt').read())"}, attachments=[attachment]))
    assert output == "uploaded\n"
    turns.again(NAME, {"code": "import os\nos.remove('report-2.txt')"})
    assert logs(turns.again(NAME, {"code": "print(open('report-2.txt').read())"})) == "uploaded\n"
