"""The processes that read: what one document does there concerns no other, and nothing is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from agent_tasks.documents import reading_pool
from agent_tasks.documents.limits import DEFAULT_LIMITS
from agent_tasks.documents.reading import read_document
from agent_tasks.documents.reading_pool import ReadingPool
from agent_tasks.errors import (
    ConfigurationError,
    DocumentTooLongError,
    EmptyDocumentError,
    UnreadableDocumentError,
)
from tests.support.pdf_files import pdf
from tests.support.processor import alive
from tests.support.waiting import eventually

READERS = """
    import array, ctypes, os, signal, sys, time
    from agent_tasks.documents import reading, reading_process
    from agent_tasks.documents.content import DocumentContent

    def misbehave(content, name, limits):
        what = content.decode()
        if what == "burn":
            while True: pass
        if what == "sleep": time.sleep(1000)
        if what == "crash": ctypes.string_at(0)
        if what == "leave": os._exit(3)
        if what == "grow": return DocumentContent("x" * limits.max_memory)
        if what == "raise": raise KeyError("odd")
        if what == "print": print("noise" * 100_000)
        if what == "shout": os.write(int(os.readlink("/proc/self/fd/1") and 3), b"\\xff" * 100)
        if what == "long": return DocumentContent("x" * 1_000_000, notes=("n" * 2_000_000,))
        if what == "environment": return DocumentContent(" ".join(sorted(os.environ)))
        return DocumentContent(f"{what} {os.getpid()}")

    sys.modules["misbehaving"] = sys.modules[__name__]
    reading.BUILT_IN[".odd"] = "misbehaving:misbehave"
    reading_process.main()
"""
COMMAND = (sys.executable, "-P", "-c", textwrap.dedent(READERS))
QUICK = replace(DEFAULT_LIMITS, max_seconds=1.0)


@pytest.fixture
def pool() -> Iterator[ReadingPool]:
    pool = ReadingPool(2, command=COMMAND)
    yield pool
    pool.close()


def process_of(pool: ReadingPool, text: str = "hello") -> int:
    """The id of the process that reads next."""
    return int(pool.read(text.encode(), "a.odd").text.split()[1])


def ended(process: int, seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not alive(process):
            return True
        time.sleep(0.05)
    return False


def test_what_is_read_is_the_same_as_in_the_callers_own_process() -> None:
    pool = ReadingPool(1)
    content = pdf(["Größe 12.00 €", "日本語 x"], ["Page two"])
    assert pool.read(content, "a.pdf") == read_document(content, "a.pdf")
    pool.close()


def test_a_process_reads_many_documents(pool: ReadingPool) -> None:
    assert len({process_of(pool) for _ in range(20)}) == 1


def test_errors_keep_their_kind_text_and_document(pool: ReadingPool) -> None:
    with pytest.raises(EmptyDocumentError, match=r"a\.odd is empty") as caught:
        pool.read(b"", "a.odd")
    assert caught.value.document == "a.odd"


class TestOneDocumentAlone:
    def test_that_burns_time_fails_by_its_own_processor_time(
        self, pool: ReadingPool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading_pool, "WALL_FACTOR", 100)  # the clock has no say, whoever else works here
        with pytest.raises(DocumentTooLongError, match=r"1 seconds.*max_reading_seconds"):
            pool.read(b"burn", "a.odd", limits=QUICK)
        assert process_of(pool)

    def test_that_waits_for_ever_fails_by_the_clock(
        self, pool: ReadingPool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = process_of(pool)
        monkeypatch.setattr(reading_pool, "WALL_FACTOR", 1)
        with pytest.raises(DocumentTooLongError, match="not read within 1 seconds"):
            pool.read(b"sleep", "a.odd", limits=QUICK)
        assert ended(process)

    def test_that_crashes_its_reader(self, pool: ReadingPool) -> None:
        before = process_of(pool)
        with pytest.raises(UnreadableDocumentError, match="SIGSEGV"):
            pool.read(b"crash", "a.odd")
        with pytest.raises(UnreadableDocumentError, match="status 3"):
            pool.read(b"leave", "a.odd")
        assert process_of(pool) != before

    def test_that_grows(self, pool: ReadingPool) -> None:
        before = process_of(pool)
        with pytest.raises(DocumentTooLongError, match="bytes of memory"):
            pool.read(b"grow", "a.odd", limits=replace(DEFAULT_LIMITS, max_memory=600_000_000))
        assert process_of(pool) != before
        assert ended(before)

    def test_whose_reader_raises_anything(self, pool: ReadingPool) -> None:
        with pytest.raises(UnreadableDocumentError, match="KeyError"):
            pool.read(b"raise", "a.odd")

    def test_whose_reader_answers_too_much(self, pool: ReadingPool) -> None:
        limits = replace(DEFAULT_LIMITS, max_characters=10_000, max_unpacked_bytes=1_000)
        with pytest.raises((UnreadableDocumentError, DocumentTooLongError)):
            pool.read(b"long", "a.odd", limits=limits)

    def test_whose_reader_prints(self, pool: ReadingPool) -> None:
        assert pool.read(b"print", "a.odd").text.startswith("print")

    def test_whose_reader_writes_among_the_answers(self, pool: ReadingPool) -> None:
        with pytest.raises((UnreadableDocumentError, DocumentTooLongError)):
            pool.read(b"shout", "a.odd", limits=QUICK)
        assert process_of(pool)

    def test_does_not_disturb_its_neighbours(self, pool: ReadingPool) -> None:
        with ThreadPoolExecutor(6) as threads:
            bad = [threads.submit(pool.read, what, "a.odd", limits=QUICK) for what in (b"burn", b"crash")]
            good = [threads.submit(pool.read, b"fine", "a.odd") for _ in range(20)]
            assert all(one.result().text.startswith("fine") for one in good)
            assert all(one.exception() is not None for one in bad)


class TestEnd:
    async def test_a_cancelled_document_ends_its_process(self, pool: ReadingPool) -> None:
        process = await asyncio.to_thread(process_of, pool)
        reading = asyncio.create_task(pool.read_async(b"sleep", "a.odd"))
        await eventually(lambda: not pool._idle)  # it has been given the document
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await asyncio.to_thread(ended, process)

    def test_idle_processes_end(self, pool: ReadingPool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading_pool, "IDLE_SECONDS", 0.3)
        assert ended(process_of(pool))

    @pytest.mark.parametrize("work", ["fine", "sleep", "burn"])
    def test_none_outlives_a_caller_that_is_killed(self, work: str) -> None:
        script = f"""
            import sys, threading, time
            from agent_tasks.documents.reading_pool import ReadingPool
            pool = ReadingPool(1, command={COMMAND!r})
            print(pool.read(b"fine", "a.odd").text.split()[1], flush=True)
            pool.read(b"{work}", "a.odd")
            time.sleep(1000)
        """
        caller = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
        assert caller.stdout is not None
        process = int(caller.stdout.readline())
        time.sleep(0.3)
        assert alive(process)
        os.kill(caller.pid, signal.SIGKILL)
        caller.wait()
        caller.stdout.close()
        assert ended(process)


def test_no_secret_is_in_its_environment(pool: ReadingPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cret@proxy")
    names = pool.read(b"environment", "a.odd").text.split()
    assert "PATH" in names
    assert not {"AZURE_CLIENT_SECRET", "HTTPS_PROXY"} & set(names)


def test_processes_that_cannot_start_are_everybodys_failure() -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        ReadingPool(1, command=("/nonexistent/python",)).read(b"x", "a.html")
    with pytest.raises(ConfigurationError, match="No module named 'nothing_of_the_kind'"):
        ReadingPool(1, command=(sys.executable, "-c", "import nothing_of_the_kind")).read(b"x", "a.html")


class TestPlainText:
    """A few pages of ASCII are read in the caller's process: nothing in them takes long."""

    NOWHERE = ("/nonexistent/python",)

    @pytest.mark.parametrize("content", [b"Paper P-1\r\n\tas agreed.  \f", b" x" * 8_192])
    async def test_needs_no_process(self, content: bytes) -> None:
        pool = ReadingPool(1, command=self.NOWHERE)
        expected = read_document(content, "a.MD")
        assert pool.read(content, "a.MD") == await pool.read_async(content, "a.MD") == expected

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            ("Größe".encode(), "a.txt"),  # may have thousands of accents on one letter
            (b"x" * 16_385, "a.txt"),
            (b"\x1b$B!!", "a.txt"),  # is Japanese
            (b"a\0b\0", "a.txt"),  # is UTF-16
            (b"<p>x", "a.html"),
        ],
    )
    def test_of_another_kind_needs_one(self, content: bytes, name: str) -> None:
        with pytest.raises(ConfigurationError, match="No such file"):
            ReadingPool(1, command=self.NOWHERE).read(content, name)

    def test_errors_are_those_of_any_document(self) -> None:
        pool = ReadingPool(1, command=self.NOWHERE)
        for content, limits, error in (
            (b"", DEFAULT_LIMITS, EmptyDocumentError),
            (b" \n", DEFAULT_LIMITS, EmptyDocumentError),
            (b"xy", replace(DEFAULT_LIMITS, max_bytes=1), DocumentTooLongError),
            (b"xy", replace(DEFAULT_LIMITS, max_characters=1), DocumentTooLongError),
        ):
            with pytest.raises(error, match=r"a\.txt"):
                pool.read(content, "a.txt", limits=limits)
