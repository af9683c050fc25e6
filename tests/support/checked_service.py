"""`python -m agents_emulator` that keeps its answers for the test that started it; same options."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

from tests.support.answers import AnswerFile, CheckedAnswers

ANSWER_FILE = "answers.jsonl"


def main() -> int:
    """Serve, with every answer appended to `answers.jsonl` in the data directory."""
    gc.disable()  # as `agents_emulator.__main__` does
    from agents_emulator import server

    gc.freeze()
    gc.enable()
    create_app: Any = server.create_app

    def create_checked(data_dir: Path, *arguments: Any, **options: Any) -> Any:
        return CheckedAnswers(create_app(data_dir, *arguments, **options), AnswerFile(data_dir / ANSWER_FILE))

    server.create_app = create_checked  # type: ignore[assignment]
    return server.main()


if __name__ == "__main__":
    sys.exit(main())
