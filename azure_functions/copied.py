"""Copies what the app shares with the library: `python azure_functions/copied.py [--check]`.

The app is deployed alone, without `agent_tasks`. So the modules that both sides need are written once, in the
library, and copied here; only the names of the modules that they import differ.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

APP = Path(__file__).parent
LIBRARY = APP.parent / "agent_tasks"
SHARED = ("queues/message_format.py", "queues/large_texts.py", "display.py", "redaction.py", "logs.py")
"""Modules of the library; each imports nothing of the library but others of these."""

_HEADER = "# Copied from agent_tasks/{source} by `make generate`: change that one.\n"
_IMPORT = re.compile(r"^from agent_tasks\.(?:queues\.)?(\w+) import", re.MULTILINE)
# The library's modules stand apart from other libraries'; in the app they are sorted among those.
_GAP = re.compile(r"^(from azure\.[^\n]*\n)\n(?=from agent_tasks)", re.MULTILINE)


def copies() -> dict[Path, str]:
    """What each copied module has to read."""
    made = {}
    for source in SHARED:
        text = (LIBRARY / source).read_text("utf-8")
        text = _IMPORT.sub(r"from \1 import", _GAP.sub(r"\1", text))
        made[APP / Path(source).name] = _HEADER.format(source=source) + text
    return made


def drift() -> list[str]:
    """Names of the copies that are not as they should be."""
    return sorted(
        path.name for path, text in copies().items() if not path.exists() or path.read_text("utf-8") != text
    )


def main() -> int:
    """Write the copies, or with `--check` name those that are out of date and return 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if anything would change")
    changed = drift()
    if parser.parse_args().check:
        if changed:
            print(f"out of date: {', '.join(changed)} (run `make generate`)", file=sys.stderr)
        return 1 if changed else 0
    for path, text in copies().items():
        if path.name in changed:
            path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
