"""Server-sent events, cut anywhere."""

import random

import pytest

from agent_tasks.client import _sse
from agent_tasks.client._sse import Frame, FrameDecoder

TEXT = (
    "\ufeff: a comment\n"
    'event: one\ndata: {"a": 1}\n\n'
    "event:two\r\ndata:first\r\ndata: second\r\n\r\n"
    "data: ä€😀\rid: 7\rretry: 100\r\r"
    ":\n\n"
    "event: nothing\n\n"
    "event: empty\ndata\n\n"
    "event: last\ndata: [DONE]\n\n"
    "event: cut\ndata: never complete\n"
).encode()
FRAMES = [
    Frame("one", '{"a": 1}'),
    Frame("two", "first\nsecond"),
    Frame("message", "ä€😀"),
    Frame("empty", ""),
    Frame("last", "[DONE]"),
]


def decode(chunks: list[bytes]) -> list[Frame]:
    decoder = FrameDecoder()
    return [frame for chunk in chunks for frame in decoder.feed(chunk)]


def test_whole() -> None:
    assert decode([TEXT]) == FRAMES


def test_byte_by_byte() -> None:
    assert decode([TEXT[i : i + 1] for i in range(len(TEXT))]) == FRAMES


@pytest.mark.parametrize("seed", range(50))
def test_cut_at_random(seed: int) -> None:
    cuts = sorted(random.Random(seed).sample(range(len(TEXT)), 12))
    chunks = [TEXT[a:b] for a, b in zip([0, *cuts], [*cuts, len(TEXT)], strict=True)]
    assert decode([*chunks, b""]) == FRAMES


def test_whole_frames_of_any_form_one_after_the_other() -> None:
    pieces = [
        b"\xef\xbb\xbfevent: a\ndata: 1\n\n",
        b"event: b\ndata: 2\n\nevent: c\ndata: 3\ndata: 4\n\n\n\n: only a comment\n\ndata: 5\n\n",
        b"data: 6\nevent: d\n\nevent: \ndata: 7\n\nevent: e\ndata:8\n\nevent: nothing\n\n",
    ]
    told = [Frame("a", "1"), Frame("b", "2"), Frame("c", "3\n4"), Frame("message", "5"), Frame("d", "6")]
    told += [Frame("message", "7"), Frame("e", "8")]
    assert decode(pieces) == told
    assert decode([bytes([byte]) for byte in b"".join(pieces)]) == told


def test_frame_is_given_as_soon_as_it_is_complete() -> None:
    decoder = FrameDecoder()
    assert list(decoder.feed(b"data: x\r\n\r")) == [Frame("message", "x")]
    assert list(decoder.feed(b"\ndata: y\n\n")) == [Frame("message", "y")]


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 60, b"x" * 60])
def test_frame_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch, chunk: bytes) -> None:
    monkeypatch.setattr(_sse, "LARGEST_FRAME", 100)
    with pytest.raises(ValueError, match="exceeds"):
        decode([chunk + b"\n", chunk, chunk])


def test_many_small_frames_are_no_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sse, "LARGEST_FRAME", 100)
    assert len(decode([b"data: 0123456789\n\n"] * 100)) == 100
