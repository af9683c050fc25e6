"""What is secret in an address, a header or a text, and how it is shown instead. The only place that knows.

| secret | shown as |
| --- | --- |
| password of an address; for http also its user | `scheme://user:***@host`, `https://***@host` |
| parameters `key`, `sig`, `code`, `token`, `password`, ... of an address | `?key=***` |
| `AccountKey`, `SharedAccessSignature`, `Password`, ... of a connection string | `AccountKey=***` |
| `Authorization`, `api-key`, ... with their values; `Bearer ...`, `Basic ...` | `Bearer ***` |
| JSON Web Tokens, wherever they stand | `***` |
| values of `headers` in bodies (keys of MCP servers) | `REDACTED`, as the service shows them |

`redacted` is applied to the text of every error (`errors.AgentTasksError`, and those of the local service),
to the findings of the doctor, to tracebacks that are shown, and to log records (`logs`): those of this
library, of httpx (which logs whole addresses) and of Prefect (which logs tracebacks).
Fields of models that hold secrets are `SecretStr`. Nothing here is a reason to put a secret into a text: it
is the net below.
"""

from __future__ import annotations

import json
import re
import traceback
from typing import Any

__all__ = [
    "REDACTED",
    "has_secret",
    "loggable",
    "redacted",
    "redacted_traceback",
    "without_headers",
]

REDACTED = "REDACTED"
"""What the service itself shows in place of headers (recorded)."""

HIDDEN = "***"

# Bounded repetitions: texts come from outside, and no pattern may take more than linear time. What is longer
# is no password that a person chose.
_LONG = "{1,2000}"
_NAMES = (
    r"(?:[a-z0-9_.-]{0,40}?(?:api[-_]?key|access[-_]?key|account[-_]?key|subscription[-_]?key|shared[-_]?key"
    r"|token|secret|passw(?:or)?d|pwd|signature|credential|auth(?:orization)?)|key|sig|sas|code|pass)"
)
_ASSIGNED = (
    r"(?:AccountKey|SharedAccessKey|SharedAccessSignature|SharedSecret|ClientSecret|client_secret"
    r"|(?:ssl)?password|passwd|pwd|api[-_]?key|auth_string)"
)
_HEADERS = (
    r"(?:proxy-)?authorization|api-key|x-api-key|ocp-apim-subscription-key|x-functions-key|x-ms-[a-z-]*token"
)

_WEB_USER = re.compile(rf"(?i)\b(https?|wss?)://[^\s/?#@\"'<>]{_LONG}@")
# Up to the last @ before a space: a password may hold / ? # and @ unquoted, as SQLAlchemy takes them.
# A port with a path after it is no password.
_PASSWORD = re.compile(
    rf"(?i)\b([a-z][a-z0-9+.-]{{0,40}}://)([^\s:/?#@]{{0,200}}):(?!\d{{1,5}}[/?#\s])[^\s\"'<>]{_LONG}@"
)
_PARAMETER = re.compile(rf"(?i)([?&;]{_NAMES}=)(?!\*\*\*|REDACTED)[^&\s\"'<>#;]{_LONG}")
_SIGNATURE = re.compile(rf"(?i)(?<![a-z])(sig=)(?!\*\*\*|REDACTED)[^&\s\"';]{_LONG}")
_ASSIGNMENT = re.compile(rf"(?i)\b({_ASSIGNED}\s?=\s?)(?!\*\*\*|REDACTED)[\"']?[^;\s\"']{_LONG}")
_QUOTED = re.compile(
    rf"(?i)([\"'](?:{_HEADERS}|{_ASSIGNED}|token|access_token|secret)[\"']\s?[:,]\s?b?[\"'])(?!\*\*\*|REDACTED)[^\"']{_LONG}"
)
_HEADER = re.compile(
    rf"(?i)\b((?:{_HEADERS})\s?[:=]\s?(?:(?:bearer|basic|sharedkey\S*|token)\s)?)(?!\*\*\*|REDACTED)[^\s\"',;]{_LONG}"
)
_SCHEME = re.compile(r"(?i)\b(bearer\s)(?=[a-z0-9._~+/=-]{0,80}[0-9._=-])[a-z0-9._~+/=-]{8,8000}")
_BASIC = re.compile(r"\b([Bb]asic\s)(?=[A-Za-z0-9+/]{0,80}[0-9=])[A-Za-z0-9+/]{8,2000}=*")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,8000}\.[A-Za-z0-9_-]{1,8000}(?:\.[A-Za-z0-9_-]{0,8000})?")
_HINT = re.compile(r"(?i)://|sig=|eyJ|bearer|basic|key|token|secret|passw|pwd|auth|signature|[?&]")


def redacted(text: str) -> str:
    """A text without the secrets in it that can be told by their form; see the table of this module."""
    if not _HINT.search(text):
        return text
    text = _WEB_USER.sub(rf"\1://{HIDDEN}@", text)
    text = _PASSWORD.sub(_without_password, text)
    for pattern in (_PARAMETER, _ASSIGNMENT, _QUOTED, _HEADER, _SIGNATURE, _SCHEME, _BASIC):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return _JWT.sub(HIDDEN, text)


def _without_password(found: re.Match[str]) -> str:
    scheme, user = found.group(1), found.group(2)
    is_web = scheme.lower().startswith(("http", "ws"))
    return f"{scheme}{HIDDEN}@" if is_web else f"{scheme}{user}:{HIDDEN}@"


def has_secret(address: str) -> bool:
    """Whether an address holds a password, a secret parameter or (for http) a user."""
    return redacted(address) != address


def redacted_traceback(error: BaseException) -> str:
    """The traceback of an error with those of its causes, whose texts may be those of other libraries."""
    return redacted("".join(traceback.format_exception(error)))


def loggable(content: bytes) -> str:
    """A body as text, without the values of headers in it: those of MCP servers hold keys."""
    text = content.decode("utf-8", "replace")
    if '"headers"' not in text:
        return redacted(text)
    try:
        return redacted(json.dumps(without_headers(json.loads(text)), ensure_ascii=False))
    except ValueError:
        return REDACTED


def without_headers(value: Any) -> Any:
    """A JSON value in which the values of all `headers`, and each `authorization`, are replaced."""
    if isinstance(value, list):
        return [without_headers(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: dict.fromkeys(inner, REDACTED)
        if key == "headers" and isinstance(inner, dict)
        else REDACTED
        if key == "authorization" and isinstance(inner, str)
        else without_headers(inner)
        for key, inner in value.items()
    }
