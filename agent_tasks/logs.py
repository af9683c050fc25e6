"""Loggers whose lines hold what was logged and nothing else, whatever the logged text contains.

Ids, names, error texts and answers come from outside. A line break in one would forge the next line of a log,
an ESC sequence would rewrite the terminal of whoever reads it. So every module takes its logger here.
"""

from __future__ import annotations

import logging
import sys
import traceback

from agent_tasks.display import visible

__all__ = ["DETAIL", "PLAIN", "get_logger", "log_to_stderr"]

DETAIL = "detail"
"""Name for `extra`: a text of several lines that is shown below the message, as a traceback is."""

_MARGIN = "    "
"""Before each line of a traceback: the text of an exception cannot look like a line of the log."""


class _Plain(logging.Filter):
    """Spells control and invisible characters out, in the message and in the traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            return True  # a mistake in the call, which the handler reports
        plain = visible(message)
        if plain != message:
            record.msg, record.args = plain, ()
        detail = getattr(record, DETAIL, "")
        if record.exc_info and record.exc_info[0] is not None:
            detail = "".join(traceback.format_exception(*record.exc_info))
        if detail and not record.exc_text:
            # A formatter takes this text, where it is set, in place of its own.
            record.exc_text = "\n".join(_MARGIN + visible(line) for line in detail.splitlines())
        return True


PLAIN = _Plain()
"""The filter, for handlers that also get the lines of other libraries."""


def get_logger(name: str) -> logging.Logger:
    """The logger of this name; what is logged with it is one line, with nothing raw in it."""
    logger = logging.getLogger(name)
    logger.addFilter(PLAIN)
    return logger


def log_to_stderr(level: int | str) -> None:
    """Set this process's logs up: to standard error, those of other libraries as plain as ours."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(PLAIN)
