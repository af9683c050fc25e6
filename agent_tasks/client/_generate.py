"""Makes the blocking client from the async one: `python -m agent_tasks.client._generate [--check]`.

Each module of `_async` becomes one of `_sync` by replacing words; ruff sorts its imports and formats it.
`_runtime` is written by hand on both sides: it holds what words alone cannot turn over.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
SOURCE = _HERE / "_async"
TARGET = _HERE / "_sync"
_BY_HAND = {"_runtime.py", "__init__.py"}
_HEADER = """\
# Made from {source} by `make generate`: change that one.
"""

# An async generator has no `yield from` (UP028).
_RUFF = (["check", "--select=I,UP028", "--fix-only", "--unsafe-fixes", "--quiet"], ["format", "--quiet"])

# In this order; each matches whole words.
_WORDS = (
    (r"async (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b(an|a) async\b", "a blocking"),
    (r"\bAn async\b", "A blocking"),
    (r"\b_async\b", "_sync"),
    (r"\basync_(\w+)", r"\1"),
    (r"\bAsyncByteStream\b", "SyncByteStream"),
    (r"\bAsync([A-Z]\w*)", r"\1"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\baclos(e|ing)\b", r"clos\1"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\bhandle_async_request\b", "handle_request"),
    (r"\baread\b", "read"),
    (r"\baiter_(bytes|raw)\b", r"iter_\1"),
    (r"\ba(iter|next)\(", r"\1("),
    (r"\bStopAsyncIteration\b", "StopIteration"),
)


def blocking(text: str, source: str) -> str:
    """The text of a module of the async client as that of the blocking one, not yet formatted."""
    for pattern, replacement in _WORDS:
        text = re.sub(pattern, replacement, text)
    return _HEADER.format(source=source) + text


def _formatted(text: str, target: Path) -> str:
    for arguments in _RUFF:
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(target), "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=True)
        text = done.stdout
    return text


def generated() -> dict[Path, str]:
    """What each generated module has to read."""
    modules: dict[Path, str] = {}
    for module in sorted(SOURCE.glob("*.py")):
        if module.name not in _BY_HAND:
            target = TARGET / module.name
            text = blocking(module.read_text("utf-8"), f"_async/{module.name}")
            modules[target] = _formatted(text, target)
    return modules


def drift() -> list[str]:
    """Names of the generated modules that are not as they should be, or should not be there."""
    expected = generated()
    present = {path for path in TARGET.glob("*.py") if path.name not in _BY_HAND}
    return sorted(
        path.name
        for path in present | expected.keys()
        if not path.exists() or path.read_text("utf-8") != expected.get(path)
    )


def main() -> int:
    """Writes the modules, or with `--check` names those that are out of date and returns 1."""
    parser = argparse.ArgumentParser(prog="python -m agent_tasks.client._generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if anything would change")
    changed = drift()
    if parser.parse_args().check:
        if changed:
            print(f"out of date: {', '.join(changed)} (run `make generate`)", file=sys.stderr)
        return 1 if changed else 0
    expected = generated()
    for name in changed:
        target = TARGET / name
        if target in expected:
            target.write_text(expected[target], "utf-8")
        else:
            target.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
