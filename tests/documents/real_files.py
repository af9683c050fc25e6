"""Compare what is read of real documents with what other programs read: mean word recall, kind by kind.

Not run by pytest. It needs `pandoc`, `pdftotext` and `dpkg-deb` (Debian: pandoc, poppler-utils, dpkg), and
folders, packages or source archives with documents, such as those of programs about documents, which bring
hundreds for their tests::

    apt-get source --download-only libreoffice pandoc
    apt-get download debian-reference-ja r-doc-pdf
    python -m pip download --no-deps --no-binary :all: python-docx mammoth
    python -m tests.documents.real_files --most 60 .

Of an archive that has more documents of a kind than `--most`, as many are taken, evenly spread over its
list. A document that others read and that is refused here counts as one of which nothing was read. Those of
which the others are wrong (`WRONG`, found by looking at the page) are counted, and left out of a second mean.
"""

from __future__ import annotations

import argparse
import gzip
import io
import re
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

_PANDOC = {".docx": "docx", ".html": "html", ".htm": "html", ".odt": "odt", ".rtf": "rtf", ".epub": "epub"}
_WORDS = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0eff]|[^\W_]+")
"""Scripts without blanks between words: character by character, since others end their lines elsewhere."""
_LIMITS = ReadingLimits(max_seconds=60)
_POOR = 0.95  # recall of a file, below which it is printed


WRONG = {
    "bug900822.pdf": "tears words: T es t",
    "font_ascent_descent.pdf": "codes of glyphs in place of the letters that are shown",
    "french_diacritics.pdf": "glues letters that stand apart",
    "issue13916.pdf": "the page shows signs that are no words, and it reads others",
    "issue14497.pdf": "tears what is written at an angle",
    "issue2017r.pdf": "codes of glyphs in place of letters",
    "issue2948.pdf": "tears what is written at an angle",
    "issue5039.pdf": "a digit that is not shown",
    "issue5801.pdf": "the page shows signs that are no words, and it reads others",
    "issue7074_reduced.pdf": "glues and tears: Our2015Gr aduat es",
    "issue9949.pdf": "tears what is written at an angle",
    "custom-render-demo.pdf": "each letter a line",
    "survey.pdf": "letters in place of round buttons, of a font of signs",
    "embedded_zip.pdf": "glues words, and what is cut off by the edge",
    "CombTest.pdf": "each letter a word",
    "ControlCharacters.pdf": "tears words: DLED LE",
    "PDFBOX-3835-input-acrobat-wrap.pdf": "tears a value where its field wraps it",
    "picture.pdf": "words outside of the page",
    "NumberingWOverrides.docx": "numbers that the list does not have",
    "tdf119136.docx": "a number without a text",
    "tdf137199.docx": "numbers in place of the texts of the levels",
    "2120112713.docx": "commands of TeX in place of a formula",
    "arabic-zero-numbering.docx": "1 in place of 01",
    "math-overstrike.docx": "commands of TeX in place of a formula",
    "table-cell-margin.docx": "names of tables, which are not shown",
    "tdf121441.docx": "1 in place of a mark of its own",
    "tdf130907.docx": "glues a power to its base",
    "tdf135164_cancelledNumbering.docx": "numbers of levels that have none",
    "tdf153255.docx": "numbers of empty notes",
    "tdf92124.docx": "numbers of levels that have none",
    "tdf121440.docx": "numbers of empty notes",
    "CVE-2017-0199.rtf": "no RTF: noise",
    "CVE-2005-2971-1.rtf": "no RTF: noise",
    "CVE-2005-2964-1.rtf": "no RTF: noise",
    "CVE-2010-3452-1.rtf": "no RTF: noise",
    "valuelist-1.rtf": "no RTF: noise",
    "LIBREOFFICE-UXTSOREL.rtf": "Baltic letters by a western code page",
    "cjklist20.rtf": "1. in place of the number that is shown, and a template of it",
    "cjklist34.rtf": "1. in place of the number that is shown, and a template of it",
    "cp950listleveltext3.rtf": "1. in place of the number that is shown",
    "fdo45543.rtf": "Japanese by a western code page",
    "tdf61901.rtf": "Cyrillic by a western code page",
    "fdo61193.rtf": "a mark of a note, which the file does not have",
    "fdo82106.rtf": "a mark of a note, which the file does not have",
    "fdo67498.rtf": "glues three sections",
    "fdo70221.rtf": "[image] in place of a picture",
    "tdf77349.rtf": "[image] in place of a picture",
}
"""Files whose text others read wrongly, by their names, and how."""


@dataclass
class _Kind:
    wrong: list[float] = field(default_factory=list)
    """Recall of those whose reference is wrong."""
    recalls: list[float] = field(default_factory=list)
    refused: int = 0
    words: int = 0
    missing: int = 0
    seconds: float = 0.0
    archives: Counter[str] = field(default_factory=Counter)


def main(places: list[str], suffixes: tuple[str, ...], most: int) -> None:
    """Print a line for each file that is read worse than by others, and two for each kind."""
    kinds: dict[str, _Kind] = {}
    with closing(ReadingPool(1)) as pool:
        for archive, name, content in _documents(places, suffixes, most):
            suffix = PurePath(name).suffix.lower()
            wanted = _others(suffix, content)
            if wanted is None or not (expected := _counted(wanted)):
                continue
            kind = kinds.setdefault(suffix, _Kind())
            kind.archives[archive] += 1
            kind.words += expected.total()
            started = time.perf_counter()
            try:
                text = pool.read(content, name, limits=_LIMITS).text
            except DocumentError as error:
                kind.refused += 1
                kind.recalls.append(0.0)
                if PurePath(name).name in WRONG:
                    kind.wrong.append(0.0)
                kind.missing += expected.total()
                print(f"refused ({expected.total()} words): {archive}: {error}", flush=True)
                continue
            kind.seconds += time.perf_counter() - started
            missing = expected - _counted(text)
            kind.missing += missing.total()
            recall = 1 - missing.total() / expected.total()
            kind.recalls.append(recall)
            if PurePath(name).name in WRONG:
                kind.wrong.append(recall)
            if recall < _POOR:
                words = " ".join(word for word, _ in missing.most_common(12))
                wrong = WRONG.get(PurePath(name).name)
                why = f" (the other is wrong: {wrong})" if wrong else ""
                print(
                    f"{recall:.2f}{why} of {expected.total()}: {archive}: {name}: not read: {words}",
                    flush=True,
                )
    for suffix, kind in sorted(kinds.items()):
        mean, read = sum(kind.recalls) / len(kind.recalls), len(kind.recalls) - kind.refused
        right = (sum(kind.recalls) - sum(kind.wrong)) / max(len(kind.recalls) - len(kind.wrong), 1)
        print(
            f"{suffix[1:]}: {len(kind.recalls)} files, mean word recall {mean:.4f}; without {kind.refused}"
            f" refused {sum(kind.recalls) / max(read, 1):.4f}; without {len(kind.wrong)} of which the others"
            f" are wrong {right:.4f}; of all {kind.words} words"
            f" {1 - kind.missing / kind.words:.4f}; {kind.seconds:.0f} s"
        )
        print("    " + ", ".join(f"{archive} {count}" for archive, count in sorted(kind.archives.items())))


def _counted(text: str) -> Counter[str]:
    """Count words; where one may be broken is no part of it."""
    return Counter(_WORDS.findall(unicodedata.normalize("NFKC", text).replace("\u00ad", "").lower()))


def _others(suffix: str, content: bytes) -> str | None:
    """Return what another program reads; None if it reads nothing."""
    if suffix == ".pdf":
        command = ["pdftotext", "-enc", "UTF-8", "-", "-"]
    else:
        command = ["pandoc", "--from", _PANDOC[suffix], "--to", "plain", "--wrap=none"]
        if suffix == ".docx":
            command.append("--track-changes=accept")
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None
    return io.TextIOWrapper(io.BytesIO(done.stdout), "utf-8", "replace").read()


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
    asked = parser.parse_args()
    main(asked.places, tuple(f".{kind}" for kind in asked.kinds.split(",")), asked.most)
