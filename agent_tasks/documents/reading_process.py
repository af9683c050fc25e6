"""The process that reads documents, one after the other: ``python -m agent_tasks.documents.reading_process``.

Requests come on the standard input, answers leave on the standard output. It ends when the input does, also
in the midst of a document: its owner is gone then.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import resource
import sys
import threading
from typing import NoReturn

from agent_tasks.documents import progress, transfer
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.page_images import page_images
from agent_tasks.documents.place_pictures import pictures
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import AgentTasksError, DocumentTooLongError

RECOGNITION_SECONDS = 120
"""Of processor time that a page may take on top, whose text is recognised."""
_MAX_REQUEST = 1 << 31
_MAX_FILE_BYTES = 1 << 28  # of a temporary file


def main() -> None:
    """Read documents until nobody asks for more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError):  # it is lower already
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    gc.freeze()  # what is loaded by now is no garbage
    gc.set_threshold(50_000, 20, 20)  # a page makes thousands of words, which leave no circles
    output = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    requests: queue.SimpleQueue[transfer.Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    progress.watch(lambda is_recognising: _sign_of_life(output, is_recognising))
    _send(output, transfer.packed({"kind": "ready"}))
    while True:
        request = requests.get()
        _limit(request.limits)
        _send(output, _answer(request))


def _listen(requests: queue.SimpleQueue[transfer.Request]) -> NoReturn:
    """Take requests; end the process when its owner is gone."""
    while True:
        try:
            head, parts = transfer.received(_read_exactly, _MAX_REQUEST)
        except (EOFError, OSError, MemoryError, transfer.TransferError):
            os._exit(0)
        requests.put(transfer.Request.of(head, parts))


def _read_exactly(size: int) -> bytes:
    pieces, left = [], size
    while left:
        piece = os.read(0, min(left, 1 << 20))
        if not piece:
            raise EOFError
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _answer(request: transfer.Request) -> list[bytes | memoryview]:
    name, content, limits = request.name, request.content, request.limits
    try:
        if request.pages:
            images = page_images(content, name, request.pages, request.max_pixels)
            return transfer.pictures(images, _memory())
        if request.places:
            return transfer.pictures(pictures(content, name, request.places, limits), _memory())
        return transfer.answer(read_document(content, name, limits=limits), _memory())
    except MemoryError:
        error = DocumentTooLongError(
            f"{name} needs more than {limits.max_memory:,} bytes of memory to be read"
            " (limits.max_reading_memory); split the document",
            document=name,
        )
        return transfer.failure(error, is_spent=True)
    except AgentTasksError as error:
        return transfer.failure(error, is_spent=False)


def _limit(limits: ReadingLimits) -> None:
    """Bound memory, and the processor time of the next document."""
    _bound(resource.RLIMIT_AS, limits.max_memory)
    _bound(resource.RLIMIT_CPU, int(_used()) + 1 + int(limits.max_seconds))


def _bound(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    with contextlib.suppress(ValueError, OSError):  # macOS bounds no address space
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _sign_of_life(output: int, is_recognising: bool) -> None:
    if is_recognising:
        _bound(resource.RLIMIT_CPU, resource.getrlimit(resource.RLIMIT_CPU)[0] + RECOGNITION_SECONDS)
    _send(output, transfer.packed({"kind": "alive"}))


def _memory() -> int:
    """Return how many bytes of memory the process holds; where that is not known, has held at most."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _send(output: int, frame: list[bytes | memoryview]) -> None:
    try:
        for piece in frame:
            view = memoryview(piece)
            while view:
                view = view[os.write(output, view) :]
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    sys.setrecursionlimit(2_000)
    main()
