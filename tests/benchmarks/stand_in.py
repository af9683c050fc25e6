"""A stand-in for a remote service: `python -m tests.benchmarks.stand_in SECONDS READY_FILE`.

It answers a turn after so many seconds and takes next to no processor time for it, as a service does that is
on another machine: prepared bytes of the wire's answers and events, over a plain protocol. It knows only what
a batch of text documents asks for (agents, turns in conversations of their own, deletions), and it counts, so
that a benchmark can tell that all was asked for once and all was deleted: `GET /counts`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_NUMBER = re.compile(r"Paper (P-\d+)")
_USAGE: Final = '{"prompt_tokens":8,"completion_tokens":5,"total_tokens":13}'
_FACTS: Final = '"assistant_id":"AGENT","thread_id":"THREAD","created_at":1795940628'
_RUN: Final = (
    '{"id":"RUN","object":"thread.run",' + _FACTS + ',"status":"STATUS","started_at":null,'
    '"expires_at":1795941228,"cancelled_at":null,"failed_at":null,"completed_at":null,"required_action":null,'
    '"last_error":null,"model":"test-model","instructions":"Extract.","tools":[],"tool_resources":{},'
    '"metadata":MARK,"temperature":1.0,"top_p":1.0,"max_completion_tokens":2000,"max_prompt_tokens":null,'
    '"truncation_strategy":{"type":"auto","last_messages":null},"incomplete_details":null,"usage":USAGE,'
    '"response_format":"auto","tool_choice":"auto","parallel_tool_calls":true}'
)
_STEP: Final = (
    '{"id":"step_RUN","object":"thread.run.step",' + _FACTS + ',"run_id":"RUN","type":"message_creation",'
    '"status":"STATUS","cancelled_at":null,"completed_at":null,"expires_at":1795941228,"failed_at":null,'
    '"last_error":null,"step_details":{"type":"message_creation","message_creation":'
    '{"message_id":"msg_RUN"}},"usage":null}'
)
_MESSAGE: Final = (
    '{"id":"msg_RUN","object":"thread.message",' + _FACTS + ',"run_id":"RUN","status":"STATUS",'
    '"incomplete_details":null,"incomplete_at":null,"completed_at":null,"role":"assistant","content":[CONTENT],'
    '"attachments":[],"metadata":{}}'
)
_TEXT: Final = '{"type":"text","text":{"value":ANSWER,"annotations":[]}}'
_DELTA: Final = (
    '{"id":"msg_RUN","object":"thread.message.delta","delta":{"content":[{"index":0,"type":"text",'
    '"text":{"value":ANSWER,"annotations":[]}}]}}'
)


def _events(*events: tuple[str, str]) -> str:
    return "".join(f"event: {name}\ndata: {data}\n\n" for name, data in events)


def _run(status: str, usage: str = "null") -> str:
    return _RUN.replace("STATUS", status).replace("USAGE", usage)


_BEGINNING: Final = _events(
    (
        "thread.created",
        '{"id":"THREAD","object":"thread","created_at":1795940628,"metadata":MARK,"tool_resources":{}}',
    ),
    ("thread.run.created", _run("queued")),
    ("thread.run.queued", _run("queued")),
    ("thread.run.in_progress", _run("in_progress")),
)
_END: Final = _events(
    ("thread.run.step.created", _STEP.replace("STATUS", "in_progress")),
    ("thread.run.step.in_progress", _STEP.replace("STATUS", "in_progress")),
    ("thread.message.created", _MESSAGE.replace("STATUS", "in_progress").replace("CONTENT", "")),
    ("thread.message.in_progress", _MESSAGE.replace("STATUS", "in_progress").replace("CONTENT", "")),
    ("thread.message.delta", _DELTA),
    ("thread.message.completed", _MESSAGE.replace("STATUS", "completed").replace("CONTENT", _TEXT)),
    ("thread.run.step.completed", _STEP.replace("STATUS", "completed")),
    ("thread.run.completed", _run("completed", _USAGE)),
    ("done", "[DONE]"),
)
_HEAD: Final = "HTTP/1.1 {}\r\nserver: stand-in\r\nx-request-id: 1\r\ncontent-type: {}\r\n{}\r\n\r\n"
_STREAM: Final = _HEAD.format(
    "200 OK", "text/event-stream; charset=utf-8", "transfer-encoding: chunked"
).encode()
_HOLE: Final = re.compile("AGENT|THREAD|RUN|MARK|ANSWER")


def _filled(template: str) -> Callable[[dict[str, str]], bytes]:
    """The template as a chunk of a stream, with what is given for its holes; cut into pieces once."""
    fixed = _HOLE.sub("%s", template.replace("%", "%%"))
    holes = _HOLE.findall(template)

    def chunk(given: dict[str, str]) -> bytes:
        text = (fixed % tuple([given[hole] for hole in holes])).encode()
        return b"%x\r\n%b\r\n" % (len(text), text)

    return chunk


_beginning, _end = _filled(_BEGINNING), _filled(_END)


class Counts:
    """What was asked for: what is there, and what has been."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.agents: dict[str, bool] = {}
        """Each agent that is there, and whether it reviews."""
        self.threads: set[str] = set()
        self.marks: set[str] = set()
        self.made = dict.fromkeys(("agents", "turns", "deletes"), 0)
        self.refused: list[str] = []
        self.in_flight = self.most_in_flight = 0

    def as_json(self) -> dict[str, Any]:
        """All of it, for the benchmark."""
        return {
            **self.made,
            "marks": len(self.marks),
            "left": len(self.agents) + len(self.threads),
            "refused": self.refused[:5],
            "most_in_flight": self.most_in_flight,
        }


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._got = b""
        self._transport: asyncio.Transport
        self._turn: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._counts.in_flight -= 1
            self._counts.refused.append("a turn that nobody waited for")

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if length is not None and len(body) < int(length[1]):
            return
        self._got = b""
        method, address, _ = head.partition(b"\r\n")[0].decode().split(" ")
        *_, family, name = address.partition("?")[0].split("/")
        self._answer(method, family, name, body)

    def _answer(self, method: str, family: str, name: str, body: bytes) -> None:
        counts = self._counts
        match method, family, name:
            case "POST", "threads", "runs":
                self._begin_turn(json.loads(body))
            case "POST", _, "assistants":
                agent = f"asst_{counts.made['agents']}"
                counts.made["agents"] += 1
                asked = json.loads(body)
                counts.agents[agent] = asked["response_format"]["json_schema"]["name"] == "review"
                self._reply({"id": agent, "object": "assistant", "created_at": 1, "tools": [], **asked})
            case "DELETE", "threads", thread if thread in counts.threads:
                counts.threads.remove(thread)
                counts.made["deletes"] += 1
                self._reply({"id": thread, "object": "thread.deleted", "deleted": True})
            case "GET", "assistants", agent if agent in counts.agents:  # of a worker that joins another
                self._reply({"id": agent, "object": "assistant", "created_at": 1, "model": "m", "tools": []})
            case "DELETE", "assistants", agent if agent in counts.agents:
                del counts.agents[agent]
                counts.made["deletes"] += 1
                self._reply({"id": agent, "object": "assistant.deleted", "deleted": True})
            case "GET", _, "counts":
                self._reply(counts.as_json())
            case _:
                counts.refused.append(f"{method} {family}/{name}")
                self._reply({"error": {"code": "not_found", "message": name}}, "404 Not Found")

    def _begin_turn(self, asked: dict[str, Any]) -> None:
        counts = self._counts
        number = counts.made["turns"]
        agent, mark = asked["assistant_id"], asked["metadata"]
        prompt = _NUMBER.search(asked["thread"]["messages"][0]["content"])
        if agent not in counts.agents or prompt is None or not asked["stream"]:
            counts.refused.append("a turn that no document could ask for")
            self._reply({"error": {"code": "bad_request", "message": agent}}, "400 Bad Request")
            return
        answer = {"approved": True, "problems": []} if counts.agents[agent] else {"number": prompt[1]}
        given = {
            "AGENT": agent,
            "THREAD": f"thread_{number}",
            "RUN": f"run_{number}",
            "MARK": json.dumps(mark),
            "ANSWER": json.dumps(json.dumps(answer)),
        }
        counts.made["turns"] += 1
        counts.marks.add(mark["agent_tasks_key"])
        counts.threads.add(given["THREAD"])
        counts.in_flight += 1
        counts.most_in_flight = max(counts.most_in_flight, counts.in_flight)
        self._transport.write(_STREAM + _beginning(given))
        loop = asyncio.get_running_loop()
        self._turn = loop.call_later(counts.seconds, self._end_turn, given)

    def _end_turn(self, given: dict[str, str]) -> None:
        self._turn = None
        self._counts.in_flight -= 1
        self._transport.write(_end(given) + b"0\r\n\r\n")

    def _reply(self, answer: dict[str, Any], status: str = "200 OK") -> None:
        content = json.dumps(answer).encode()
        head = _HEAD.format(status, "application/json", f"content-length: {len(content)}")
        self._transport.write(head.encode() + content)


async def serve(seconds: float, ready: Path) -> None:
    """Listen until the process is ended; the file tells the address."""
    counts = Counts(seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(counts), "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    partial = ready.with_suffix(".part")
    partial.write_text(json.dumps({"endpoint": f"http://127.0.0.1:{port}/api/projects/stand-in"}))
    partial.replace(ready)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), Path(sys.argv[2])))
