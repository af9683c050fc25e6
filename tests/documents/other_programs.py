"""What other programs read of a document, for :mod:`tests.documents.real_files`.

They share no code with each other, nor with what reads here, and nothing else needs them. Debian: `lynx
libreoffice-writer-nogui mupdf-tools pandoc poppler-utils w3m`; Python, in the environment of the `python3` on
the `PATH`: `docx2txt pdfminer.six striprtf`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

_SECONDS = 60
_GROUP = 20  # documents for one start of LibreOffice

Program = Callable[[bytes, str], str | None]
"""Takes a document and its ending; returns its text, None if it reads nothing."""


class OtherPrograms:
    """Programs, and their answers, which are kept: a second comparison asks nobody.

    Args:
        kept: The folder of the answers.
    """

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        kept.mkdir(parents=True, exist_ok=True)

    def texts(self, content: bytes, suffix: str) -> list[str]:
        """Return what each program reads of a document, nothing where it refuses it; the best known first."""
        return [self._text(name, content, suffix) or "" for name in _PROGRAMS[suffix]]

    def prepare(self, documents: Sequence[tuple[bytes, str]]) -> None:
        """Have LibreOffice read many documents at a time, for it starts slowly."""
        wanted = {
            self._file("libreoffice", content): (content, suffix)
            for content, suffix in documents
            if "libreoffice" in _PROGRAMS[suffix] and not self._file("libreoffice", content).exists()
        }
        new = list(wanted.items())
        for start in range(0, len(new), _GROUP):
            group = dict(new[start : start + _GROUP])
            texts = _by_libreoffice(list(group.values()), 15 * _GROUP)
            for file, text in zip(group, texts, strict=True):
                if text is not None:  # whoever is missing is tried alone: another one may have crashed it
                    file.write_text(text, encoding="utf-8", newline="")

    def _text(self, name: str, content: bytes, suffix: str) -> str | None:
        file = self._file(name, content)
        refused = file.with_suffix(".refused")
        if refused.exists():
            return None
        if not file.exists():
            text = _PROGRAMS[suffix][name](content, suffix)
            if text is None:
                refused.touch()
                return None
            file.write_text(text.replace("\0", ""), encoding="utf-8", newline="")
        return file.read_text(encoding="utf-8")

    def _file(self, name: str, content: bytes) -> Path:
        return self._kept / f"{hashlib.sha256(content).hexdigest()[:24]}.{name}.txt"


def _said(command: list[str], content: bytes = b"") -> str | None:
    """Return what a program prints; None if it fails."""
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode else _decoded(done.stdout)


def _decoded(printed: bytes) -> str:
    return io.TextIOWrapper(io.BytesIO(printed), "utf-8", "replace").read()


def _of_file(*command: str) -> Program:
    """Return a program that reads a file, which it wants by its name."""

    def read(content: bytes, suffix: str) -> str | None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"a{suffix}"
            file.write_bytes(content)
            return _said([*command, str(file)])

    return read


def _of_input(*command: str) -> Program:
    return lambda content, _: _said(list(command), content)


def _by_pandoc(content: bytes, suffix: str) -> str | None:
    kind = {".htm": "html", ".xhtml": "html"}.get(suffix, suffix[1:])
    command = ["pandoc", "--from", kind, "--to", "plain", "--wrap=none"]
    return _said(command + ["--track-changes=accept"] * (suffix == ".docx"), content)


def _by_python(code: str) -> Program:
    """Return a program that is a library, in a process of its own: it may hang."""
    begin = "import io, sys; content = sys.stdin.buffer.read(); "
    end = "; sys.stdout.buffer.write((text or '').encode('utf-8', 'replace'))"
    return _of_input("python3", "-c", begin + code + end)


def _by_libreoffice(documents: Sequence[tuple[bytes, str]], seconds: float) -> list[str | None]:
    program = shutil.which("soffice") or "soffice"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        files = [place / f"{number}{suffix}" for number, (_, suffix) in enumerate(documents)]
        for file, (content, _) in zip(files, documents, strict=True):
            file.write_bytes(content)
        command = [program, f"-env:UserInstallation=file://{folder}/user", "--headless", "--convert-to"]
        command += ["txt:Text (encoded):UTF8", "--outdir", f"{folder}/out", *map(str, files)]
        with contextlib.suppress(subprocess.TimeoutExpired):  # what it has done by then counts
            subprocess.run(command, capture_output=True, timeout=seconds, check=False)
        answers = [place / "out" / f"{file.stem}.txt" for file in files]
        return [_decoded(answer.read_bytes()) if answer.exists() else None for answer in answers]


def _without_refresh(read: Program) -> Program:
    """Return a program without the line in which it says where a page goes by itself: no page shows that."""
    return lambda content, suffix: _REFRESH.sub("", read(content, suffix) or "") or None


_REFRESH = re.compile(r"^\s*refresh ?\(\d+ sec\).*$", re.IGNORECASE | re.MULTILINE)
_OFFICE: Program = lambda content, suffix: _by_libreoffice([(content, suffix)], _SECONDS)[0]  # noqa: E731
_HTML: dict[str, Program] = {
    "pandoc": _by_pandoc,
    "w3m": _without_refresh(
        _of_file("w3m", "-dump", "-cols", "1000", "-O", "UTF-8", "-o", "display_image=false")
    ),
    "lynx": _without_refresh(
        _of_file("lynx", "-dump", "-nolist", "-width=1000", "-display_charset=utf-8", "-force_html")
    ),
}
_PROGRAMS: dict[str, dict[str, Program]] = {
    ".pdf": {
        "pdftotext": _of_input("pdftotext", "-enc", "UTF-8", "-", "-"),
        "mutool": _of_file("mutool", "draw", "-q", "-F", "txt"),
        "pdfminer": _by_python(
            "from pdfminer.high_level import extract_text; text = extract_text(io.BytesIO(content))"
        ),
    },
    ".docx": {
        "pandoc": _by_pandoc,
        "libreoffice": _OFFICE,
        "docx2txt": _by_python("import docx2txt; text = docx2txt.process(io.BytesIO(content))"),
    },
    ".odt": {"pandoc": _by_pandoc, "libreoffice": _OFFICE},
    ".rtf": {
        "pandoc": _by_pandoc,
        "libreoffice": _OFFICE,
        "striprtf": _by_python(
            "from striprtf.striprtf import rtf_to_text;"
            " text = rtf_to_text(content.decode('latin-1'), errors='ignore')"
        ),
    },
    ".html": _HTML,
    ".htm": _HTML,
    ".epub": {"pandoc": _by_pandoc, "mutool": _of_file("mutool", "draw", "-q", "-F", "txt")},
}
"""The first of each kind is the one that is compared with alone."""
