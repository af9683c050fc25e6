"""The rows of a run's results.jsonl."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from agent_tasks.batch.records import DocumentRow
from agent_tasks.errors import ConfigurationError


def read_rows(run: Path) -> dict[str, DocumentRow]:
    """Read what a run came to.

    Args:
        run: Its folder of results, or results.jsonl itself.

    Returns:
        The rows by the document's name.

    Raises:
        ConfigurationError: There are no results, or they are not of this version; names file and line.
    """
    path = run / "results.jsonl" if run.is_dir() else run
    rows: dict[str, DocumentRow] = {}
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                number += 1
                row = DocumentRow.model_validate_json(line)
                rows[row.document] = row
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"There are no results in {path}: {error}. Name the folder that was --out of a run."
        ) from error
    except ValidationError as error:
        raise ConfigurationError(
            f"{path}:{number} is no row of results of this version: {error.errors()[0]['msg']}. "
            "Run the pipeline again; what is done is not done again."
        ) from error
    return rows
