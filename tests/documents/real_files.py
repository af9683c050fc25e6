"""Compare what is read of real documents with what other programs read: mean word recall, kind by kind.

Not run by pytest. It needs `pandoc` and `pdftotext` (Debian: pandoc, poppler-utils), and folders or archives
with documents, such as source packages of programs about documents, which bring hundreds for their tests::

    apt-get source --download-only pandoc calibre
    python -m pip download --no-deps --no-binary :all: python-docx mammoth
    python -m tests.documents.real_files . /usr/share/doc
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentError

_PANDOC = {".docx": "docx", ".html": "html", ".htm": "html", ".odt": "odt", ".rtf": "rtf", ".epub": "epub"}
_WORDS = re.compile(r"\w+")
_MOST = 400  # files of a kind


def main(places: list[str]) -> None:
    """Print a line for each file that is read worse than by others, and a line for each kind."""
    recalls: dict[str, list[float]] = {}
    refused: Counter[str] = Counter()
    for name, content in _documents(places):
        suffix = Path(name).suffix.lower()
        if len(recalls.get(suffix, ())) >= _MOST:
            continue
        wanted = _others(suffix, content)
        if wanted is None or not _WORDS.search(wanted):
            continue
        started = time.perf_counter()
        try:
            text = read_document(content, name).text
        except DocumentError as error:
            refused[suffix] += 1
            print(f"refused: {error}")
            continue
        expected = Counter(_WORDS.findall(wanted.lower()))
        missing = expected - Counter(_WORDS.findall(text.lower()))
        recall = 1 - missing.total() / expected.total()
        recalls.setdefault(suffix, []).append(recall)
        if recall < 0.95:
            seconds = time.perf_counter() - started
            print(f"{recall:.2f} {name} ({seconds:.1f} s): not read: {' '.join(list(missing)[:12])}")
    for suffix, found in sorted(recalls.items()):
        mean = sum(found) / len(found)
        print(f"{suffix[1:]}: {len(found)} files, mean word recall {mean:.3f}, refused {refused[suffix]}")


def _documents(places: list[str]) -> Iterator[tuple[str, bytes]]:
    wanted = (*_PANDOC, ".pdf")
    for place in places:
        for path in sorted(Path(place).rglob("*")) if Path(place).is_dir() else [Path(place)]:
            if not path.is_file() or path.is_symlink():
                continue
            if path.name.endswith((".tar.gz", ".tar.xz", ".tar.bz2", ".tgz")):
                with tarfile.open(path) as archive:
                    for member in archive:
                        if member.isfile() and member.name.lower().endswith(wanted):
                            stream = archive.extractfile(member)
                            yield member.name, stream.read() if stream is not None else b""
            elif path.suffix in (".zip", ".whl"):
                with zipfile.ZipFile(path) as archive_of_zip:
                    for name in archive_of_zip.namelist():
                        if name.lower().endswith(wanted):
                            yield name, archive_of_zip.read(name)
            elif path.suffix.lower() in wanted:
                yield str(path), path.read_bytes()


def _others(suffix: str, content: bytes) -> str | None:
    """Return what another program reads; None if it reads nothing."""
    if suffix == ".pdf":
        command = ["pdftotext", "-enc", "UTF-8", "-", "-"]
    else:
        command = ["pandoc", "--from", _PANDOC[suffix], "--to", "plain", "--wrap=none"]
        if suffix == ".docx":
            command.append("--track-changes=accept")
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None
    return io.TextIOWrapper(io.BytesIO(done.stdout), "utf-8", "replace").read()


if __name__ == "__main__":
    main(sys.argv[1:])
