"""The app's logger: one line a message, whatever a CorrelationId, an argument or an error text contains.

The app is deployed alone, so this is the part of `agent_tasks.logs` and `agent_tasks.display` that it needs.
"""

from __future__ import annotations

import logging
import traceback
import unicodedata

_JOINERS = "\u200c\u200d"  # part of correct spelling in Persian and Indic scripts
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def visible(text: str) -> str:
    r"""Text on one line with control and invisible characters spelt out, such as ``\n`` and ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _HIDDEN and character not in _JOINERS
        else character
        for character in text
    )


class _Plain(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        plain = visible(message)
        if plain != message:
            record.msg, record.args = plain, ()
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            # A formatter takes this text, where it is set, in place of its own.
            lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
            record.exc_text = "\n".join(f"    {visible(line)}" for line in lines)
        return True


_PLAIN = _Plain()


def get_logger(name: str) -> logging.Logger:
    """The logger of this name, its lines plain."""
    logger = logging.getLogger(name)
    logger.addFilter(_PLAIN)
    return logger
