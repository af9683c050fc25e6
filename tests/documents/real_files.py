"""Compare what is read of real documents with what other programs read: mean word recall, kind by kind.

A word counts as wanted when at least two programs read it that have no code in common; beside it stands the
recall of what one of them reads (`pdftotext`, `pandoc`), which tears and glues words of its own.

Not run by pytest. It needs the programs of :mod:`tests.documents.other_programs`, and folders, packages or
source archives with documents, such as those of programs about documents, which bring hundreds for their
tests::

    apt-get source --download-only libreoffice pdf.js libpdfbox2-java libapache-poi-java pandoc unrtf calligra
    apt-get download debian-reference-ja r-doc-pdf
    python -m tests.documents.real_files --most 130 .

Of an archive that has more documents of a kind than `--most`, as many are taken, evenly spread over its
list. A document that others read and that is refused here counts as one of which nothing was read. What
`file` does not take for RTF is left out: tests bring noise and encrypted files under that name. So is, of the
second figure, a file of which two programs read mostly letters alone.
"""

from __future__ import annotations

import argparse
import gzip
import re
import string
import subprocess
import tarfile
import tempfile
import time
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.reading_pool import ReadingPool
from agent_tasks.errors import DocumentError
from tests.documents.other_programs import OtherPrograms

_WORDS = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0eff]|[^\W_]+")
"""Scripts without blanks between words: character by character, since others end their lines elsewhere."""
_TO_THE_LEFT = re.compile("[\u0590-\u08ff]")
_LETTERS = frozenset(string.ascii_lowercase)
_LIMITS = ReadingLimits(max_seconds=60)
_POOR = 0.95  # recall of a file, below which it is printed


@dataclass
class _Recall:
    """How much of the wanted words is read, of all files of a kind."""

    files: list[float] = field(default_factory=list)
    wanted: int = 0
    missing: int = 0

    def add(self, wanted: Counter[str], missing: Counter[str]) -> float:
        self.wanted += wanted.total()
        self.missing += missing.total()
        self.files.append(1 - missing.total() / wanted.total())
        return self.files[-1]

    def __str__(self) -> str:
        if not self.files:
            return "none"
        mean, of_all = sum(self.files) / len(self.files), 1 - self.missing / self.wanted
        return f"{mean:.4f} ({len(self.files)} files; of all {self.wanted} words {of_all:.4f})"


@dataclass
class _Kind:
    against_one: _Recall = field(default_factory=_Recall)
    against_two: _Recall = field(default_factory=_Recall)
    refused: int = 0
    seconds: float = 0.0
    archives: Counter[str] = field(default_factory=Counter)


def main(places: list[str], suffixes: tuple[str, ...], most: int, kept: Path) -> None:
    """Print a line for each file of which words are missed that two programs read, and some for each kind."""
    kinds: dict[str, _Kind] = {}
    others = OtherPrograms(kept)
    documents = list(_documents(places, suffixes, most))
    others.prepare([(content, _suffix(name)) for _, name, content in documents])
    with closing(ReadingPool(1)) as pool:
        for archive, name, content in documents:
            if not _is_of_its_kind(content, _suffix(name)):
                continue
            counted = [_counted(text) for text in others.texts(content, _suffix(name))]
            if any(counted):
                _compare(kinds.setdefault(_suffix(name), _Kind()), pool, archive, name, content, counted)
    for suffix, kind in sorted(kinds.items()):
        print(
            f"{suffix[1:]}: {sum(kind.archives.values())} files, {kind.refused} refused, {kind.seconds:.0f} s"
        )
        print(f"    mean word recall against one program {kind.against_one}")
        print(f"    against what two agree on {kind.against_two}")
        print("    " + ", ".join(f"{archive} {count}" for archive, count in sorted(kind.archives.items())))


def _compare(
    kind: _Kind, pool: ReadingPool, archive: str, name: str, content: bytes, others: list[Counter[str]]
) -> None:
    kind.archives[archive] += 1
    started = time.perf_counter()
    try:
        read = _counted(pool.read(content, name, limits=_LIMITS).text)
    except DocumentError as error:
        kind.refused += 1
        read = Counter()
        print(f"refused ({_agreed(others).total()} words): {archive}: {error}", flush=True)
    kind.seconds += time.perf_counter() - started
    if others[0]:
        kind.against_one.add(others[0], others[0] - read)
    agreed = _agreed(others)
    if _is_torn(agreed):
        print(f"torn by others: {archive}: {name}", flush=True)
    elif agreed:
        missing = agreed - read
        if (recall := kind.against_two.add(agreed, missing)) < _POOR and read:
            words = " ".join(word for word, _ in missing.most_common(12))
            print(f"{recall:.2f} of {agreed.total()}: {archive}: {name}: not read: {words}", flush=True)


def _agreed(others: list[Counter[str]]) -> Counter[str]:
    """Return the words that at least two programs read, as often as the second of them does."""
    words = {word for counted in others for word in counted}
    return +Counter(
        {word: sorted(counted[word] for counted in others)[-2] for word in words if len(others) > 1}
    )


def _is_torn(agreed: Counter[str]) -> bool:
    """Whether most are letters alone: where letters stand in frames, or apart, programs tear all words."""
    alone = sum(count for word, count in agreed.items() if len(word) == 1 and word in _LETTERS)
    return agreed.total() >= 10 and alone > 0.5 * agreed.total()


def _counted(text: str) -> Counter[str]:
    """Count words; where one may be broken is no part of it."""
    words = _WORDS.findall(unicodedata.normalize("NFKC", text).replace("\u00ad", "").lower())
    # Some programs write what runs to the left as it stands on the page.
    return Counter(min(word, word[::-1]) if _TO_THE_LEFT.match(word) else word for word in words)


def _is_of_its_kind(content: bytes, suffix: str) -> bool:
    if suffix != ".rtf":
        return True
    command = ["file", "--brief", "--mime-type", "-"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout == b"text/rtf\n"


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


# --- where they are ----------------------------------------------------------------------------------------


def _documents(places: list[str], suffixes: tuple[str, ...], most: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield documents: the archive or folder, the name in it, the content."""
    for place in places:
        path = Path(place)
        archives = [p for p in sorted(path.rglob("*")) if _opener(p)] if path.is_dir() else [path]
        for archive in archives:
            if _opener(archive) and archive.is_file():
                for name, content in _opener(archive)(archive, suffixes, most):
                    yield _package(archive), name, content
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
            for name in _spread([str(file) for file in files], suffixes, most):
                yield path.name, *_plain(name, Path(name).read_bytes())


_Opened = Callable[[Path, tuple[str, ...], int], Iterator[tuple[str, bytes]]]


def _opener(path: Path) -> _Opened | None:
    if path.name.endswith((".tar.gz", ".tar.xz", ".tar.bz2", ".tgz")):
        return _in_tar
    return {".deb": _in_deb, ".zip": _in_zip, ".whl": _in_zip}.get(path.suffix)


def _package(path: Path) -> str:
    return re.split(r"_|-\d", path.name)[0]


def _spread(names: list[str], suffixes: tuple[str, ...], most: int) -> Iterator[str]:
    """Yield the names of documents: of each kind as many as are wanted, evenly spread."""
    for suffix in suffixes:
        found = [name for name in names if name.lower().removesuffix(".gz").endswith(suffix)]
        step = max(len(found) / most, 1.0)
        yield from (found[int(i * step)] for i in range(min(len(found), most)))


def _plain(name: str, content: bytes) -> tuple[str, bytes]:
    return (name[:-3], gzip.decompress(content)) if name.lower().endswith(".gz") else (name, content)


def _in_tar(path: Path, suffixes: tuple[str, ...], most: int) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        names = [member.name for member in archive if member.isfile()]
    wanted = set(_spread(names, suffixes, most))
    with tarfile.open(path) as archive:  # in its own order: to go back in it is to unpack it again
        for member in archive:
            if member.name in wanted and (stream := archive.extractfile(member)) is not None:
                yield _plain(member.name, stream.read())


def _in_deb(path: Path, suffixes: tuple[str, ...], most: int) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / "data.tar"
        with open(unpacked, "wb") as file:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", path], stdout=file, check=True)
        yield from _in_tar(unpacked, suffixes, most)


def _in_zip(path: Path, suffixes: tuple[str, ...], most: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in _spread(archive.namelist(), suffixes, most):
            yield _plain(name, archive.read(name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("places", nargs="+", help="folders, packages and archives")
    parser.add_argument("--kinds", default="pdf,docx,html,odt,rtf,epub", help="endings, with commas between")
    parser.add_argument("--most", type=int, default=60, help="documents of a kind in an archive")
    parser.add_argument(
        "--kept", type=Path, default=Path("others"), help="folder of what other programs read"
    )
    asked = parser.parse_args()
    main(asked.places, tuple(f".{kind}" for kind in asked.kinds.split(",")), asked.most, asked.kept)
