# Copied from agent_tasks/logs.py by `make generate`: change that one.
"""Loggers whose lines hold what was logged and nothing else, whatever the logged text contains.

Ids, names, error texts and answers come from outside. A line break in one would forge the next line of a log,
an ESC sequence would rewrite the terminal of whoever reads it, and a secret would stay there. So every module
takes its logger here, and `guard_logs` looks through what other libraries log of our addresses and errors.
"""

from __future__ import annotations

import logging
import sys
import traceback

from display import visible
from redaction import redacted

__all__ = ["DETAIL", "GUARDED", "PLAIN", "get_logger", "guard_logs", "log_to_stderr"]

DETAIL = "detail"
"""Name for `extra`: a text of several lines that is shown below the message, as a traceback is."""

GUARDED = (
    *("httpx", "httpx2", "urllib3.connectionpool", "sqlalchemy.engine.Engine", "sqlalchemy.pool"),
    *("azure.identity", "azure.core.pipeline.policies.http_logging_policy", "uvicorn.error", "asyncio"),
    *(f"prefect.{part}" for part in ("flow_runs", "task_runs", "engine", "flow_engine", "task_engine")),
)
"""Loggers of other libraries that are told of our addresses, headers and errors."""

_MARGIN = "    "
"""Before each line of a traceback: the text of an exception cannot look like a line of the log."""


class _Plain(logging.Filter):
    """Spells control and invisible characters out, and hides secrets, in the message and in the traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            return True  # a mistake in the call, which the handler reports
        plain = visible(redacted(message))
        if plain != message:
            record.msg, record.args = plain, ()
        detail = getattr(record, DETAIL, "")
        if record.exc_info and record.exc_info[0] is not None:
            detail = "".join(traceback.format_exception(*record.exc_info))
        if detail and not record.exc_text:
            # A formatter takes this text, where it is set, in place of its own.
            shown = redacted(detail)
            record.exc_text = "\n".join(_MARGIN + visible(line) for line in shown.splitlines())
            if shown != detail:
                record.exc_info = None  # handlers that format the exception themselves would show it
        return True


PLAIN = _Plain()
"""The filter, for handlers that also get the lines of other libraries."""


def get_logger(name: str) -> logging.Logger:
    """The logger of this name; what is logged with it is one line, with nothing raw in it."""
    logger = logging.getLogger(name)
    logger.addFilter(PLAIN)
    return logger


def guard_logs() -> None:
    """Let nothing secret or raw into the lines of `GUARDED`; may be called again."""
    for name in GUARDED:
        logging.getLogger(name).addFilter(PLAIN)


def log_to_stderr(level: int | str) -> None:
    """Set this process's logs up: to standard error, those of other libraries as plain as ours."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(PLAIN)
