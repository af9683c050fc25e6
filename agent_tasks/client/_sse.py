"""Server-sent events: from bytes to frames (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from agent_tasks.wire import AgentStreamEvent

LARGEST_FRAME = 16 * 1024 * 1024
"""Characters; far above any event of the service, far below what hurts."""

# What a stream's ids, errors and end are known by, and what calls functions.
_NEEDED = frozenset(
    {
        AgentStreamEvent.THREAD_CREATED,
        AgentStreamEvent.THREAD_RUN_CREATED,
        AgentStreamEvent.THREAD_RUN_REQUIRES_ACTION,
        AgentStreamEvent.THREAD_RUN_COMPLETED,
        AgentStreamEvent.THREAD_RUN_INCOMPLETE,
        AgentStreamEvent.THREAD_RUN_FAILED,
        AgentStreamEvent.THREAD_RUN_CANCELLED,
        AgentStreamEvent.THREAD_RUN_EXPIRED,
        AgentStreamEvent.ERROR,
        AgentStreamEvent.DONE,
    }
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it came: its name (`message` where none was given) and its data."""

    event: str
    data: str


class FrameDecoder:
    """Takes pieces of a stream, cut anywhere, and gives the frames that they complete.

    Lines end in LF, CRLF or CR; comments and fields other than `event` and `data` are passed over; several
    `data` lines are joined by LF. A frame without its empty line at the end of the stream is not complete and
    is dropped, as the specification asks. Raises ValueError when one frame exceeds `LARGEST_FRAME`.
    """

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun: list[str] = []
        self._length = 0
        self._after_cr = False
        self._start = True
        self._event = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The frames that this piece completes."""
        text = self._text.decode(chunk)
        if self._is_whole(text):
            for block in text[:-2].split("\n\n"):
                event, _, data = block.partition("\n")
                if event.startswith("event: ") and data.startswith("data: ") and "\n" not in data:
                    yield Frame(event[7:] or "message", data[6:])
                else:
                    yield from self._taken([*block.split("\n"), ""])
        else:
            yield from self._taken(self._lines(text))

    def _is_whole(self, text: str) -> bool:
        """Whether a piece is whole frames with plain ends, as most are: they need no look at each line."""
        is_between = not (self._start or self._begun or self._event or self._data or self._after_cr)
        return is_between and len(text) <= LARGEST_FRAME and text.endswith("\n\n") and "\r" not in text

    def _taken(self, lines: Iterable[str]) -> Iterator[Frame]:
        for line in lines:
            frame = self._take(line)
            if frame is not None:
                yield frame

    def _lines(self, text: str) -> Iterator[str]:
        if self._start and text:
            text = text.removeprefix("\ufeff")
            self._start = False
        if self._after_cr and text:
            text = text.removeprefix("\n")  # the second half of a CRLF cut in two
            self._after_cr = False
        if self._length + len(text) + self._size > LARGEST_FRAME:
            raise ValueError(f"an event exceeds {LARGEST_FRAME} characters")
        self._after_cr = text.endswith("\r")
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            # A line that came in many pieces is joined once, when it ends.
            yield "".join([*self._begun, line])
            self._begun, self._length = [], 0
        if rest:
            self._begun.append(rest)
            self._length += len(rest)

    def _take(self, line: str) -> Frame | None:
        if not line:
            frame = Frame(self._event or "message", "\n".join(self._data)) if self._data else None
            self._event, self._data, self._size = "", [], 0
            return frame
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
            self._size += len(value) + 1
        return None


def passed_over(without: Collection[str]) -> frozenset[str]:
    """The names of the events of a stream that are not read.

    Raises:
        ValueError: one of them is an event that a stream cannot do without; or a single text was given.
    """
    if isinstance(without, str):
        raise ValueError(f"without: give several names as a set, {{{without!r}}}, not one text")
    names = frozenset(without)
    if needed := sorted(names & _NEEDED):
        raise ValueError(
            f"without: {', '.join(needed)} cannot be passed over: the run's id, its calls of functions, its "
            "error or its end would go unnoticed; leave it out of `without`"
        )
    return names
