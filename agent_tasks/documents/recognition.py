"""Text recognition: words, with their boxes, out of the picture of a page.

It is done by RapidOCR, where the extra ``recognition`` is installed (its models come in its wheel, nothing is
downloaded), else by the program ``tesseract``, where there is one.
"""

from __future__ import annotations

import functools
import importlib.metadata
import io
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from agent_tasks.documents.content import Edges
from agent_tasks.documents.layout import Word
from agent_tasks.documents.progress import recognising
from agent_tasks.documents.recogniser import Recogniser
from agent_tasks.documents.recognition_cache import CachedRecogniser, cache_folder

if TYPE_CHECKING:
    from PIL.Image import Image

REMEDY = (
    "For text recognition, install the extra (pip install 'prefect-azure-agents[recognition]') or the program"
    " tesseract."
)
_SURE_ENOUGH = 0.3  # below, what is seen is no text but a picture's texture
_TESSERACT_SECONDS = 120


@functools.cache
def recogniser() -> Recogniser | None:
    """Return what recognises text here, each picture once; None if nothing that does is installed."""
    means: Recogniser
    try:
        means = _RapidOcr()
    except ImportError:
        program = shutil.which("tesseract")
        if program is None:
            return None
        means = _Tesseract(program)
    folder = cache_folder()
    return means if folder is None else CachedRecogniser(means, folder)


def recognition_note(pages: dict[int, float]) -> str:
    """Return the sentence on pages that were recognised, and how surely each was."""
    least = min(pages, key=lambda page: pages[page])
    which = f" (page {least})" if len(pages) > 1 else ""
    return (
        f"The text of {listed('page', sorted(pages))} was recognised in a picture; at the least,"
        f" it is {pages[least]:.0%} sure{which}."
    )


def listed(noun: str, numbers: Sequence[int]) -> str:
    """Return numbers in words, such as ``pages 1-3 and 7``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] + 1 == number:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    texts = ["-".join(str(edge) for edge in edges) for edges in ranges]
    shown = " and ".join([*([", ".join(texts[:-1])] if texts[:-1] else []), texts[-1]])
    return f"{noun}{'s' if len(numbers) > 1 else ''} {shown}"


def _placed(
    found: Iterable[tuple[str, float, Edges, bool]],
    picture: Image,
    size: tuple[float, float],
) -> tuple[list[Word], float]:
    """Return words with their boxes: text, sureness, edges in pixels, whether a line begins with it."""
    across, down = size[0] / picture.width, size[1] / picture.height
    words: list[Word] = []
    sureness = weight = 0.0
    for text, sure, (left, top, right, bottom), begins in found:
        if sure < _SURE_ENOUGH or not text.strip():
            continue
        width, height = picture.size
        box = (left / width, top / height, right / width, bottom / height)
        edges = (left * across, top * down, right * across, bottom * down)
        words.append(Word(text, *edges, box=box, is_set_apart=begins))
        sureness += sure * len(text)
        weight += len(text)
    return words, sureness / weight if weight else 0.0


class _RapidOcr:
    """RapidOCR, with the models of its wheel."""

    def __init__(self) -> None:
        # It says what it does on the standard output, and would look for newer models.
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
        import numpy
        import rapidocr

        self._array: Callable[..., Any] = numpy.asarray
        self._engine = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,  # pages are read side by side
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        self.name = "rapidocr"
        self.version = importlib.metadata.version("rapidocr")

    def words(self, picture: Image, size: tuple[float, float]) -> tuple[list[Word], float]:
        with recognising():
            found = self._engine(self._array(picture)[:, :, ::-1], return_word_box=True)
        return _placed(_rapid_words(found), picture, size)


def _rapid_words(found: Any) -> Iterable[tuple[str, float, Edges, bool]]:
    if getattr(found, "txts", None) is None:  # nothing: its words are then not even of their shape
        return
    for line in found.word_results or ():
        for i, (text, sure, corners) in enumerate(line):
            across, down = [corner[0] for corner in corners], [corner[1] for corner in corners]
            edges = (float(min(across)), float(min(down)), float(max(across)), float(max(down)))
            yield str(text), float(sure), edges, i == 0


class _Tesseract:
    """The program ``tesseract``, in the languages that it has."""

    def __init__(self, program: str) -> None:
        self._program = program
        self.name = "tesseract"

    @functools.cached_property
    def version(self) -> str:
        program = os.stat(self._program)
        return f"{program.st_size} bytes of {program.st_mtime_ns}, {self._languages}"

    @functools.cached_property
    def _languages(self) -> str:
        import subprocess

        command = [self._program, "--list-langs"]
        listing = subprocess.run(
            command, capture_output=True, text=True, timeout=_TESSERACT_SECONDS, check=False
        )
        languages = [line.strip() for line in listing.stdout.splitlines()[1:]]
        return "+".join(name for name in languages if name not in ("", "osd")) or "eng"

    def words(self, picture: Image, size: tuple[float, float]) -> tuple[list[Word], float]:
        import subprocess

        encoded = io.BytesIO()
        picture.save(encoded, "PNG", compress_level=1)
        command = [self._program, "stdin", "stdout", "-l", self._languages, "--psm", "3", "tsv"]
        with recognising():
            done = subprocess.run(
                command, input=encoded.getvalue(), capture_output=True, timeout=_TESSERACT_SECONDS, check=True
            )
        return _placed(_tesseract_words(done.stdout.decode("utf-8", "replace")), picture, size)


def _tesseract_words(table: str) -> Iterable[tuple[str, float, Edges, bool]]:
    """Yield the words of a table of Tesseract: level, five numbers, box, sureness, text."""
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) == 12 and cells[0] == "5":
            left, top, width, height = (float(cell) for cell in cells[6:10])
            edges = (left, top, left + width, top + height)
            yield cells[11], float(cells[10]) / 100, edges, cells[5] == "1"
