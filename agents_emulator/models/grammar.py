"""Grammars that hold a small model's output to a JSON schema, and its values to what stands in the prompt.

The grammar is LLGuidance's: a JSON schema as it is, or, for a flat object, a rule for each property, so that
three kinds of values can be held to the text of the conversation (a model of this size would invent them):

- a date (``format: date``) is one of the dates that occur in the text, if any does;
- a string whose description says "as written" is a run of words within one line of the text;
- a number whose description says "as written" is one of the numbers in the text.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

COPY_CUE = "as written"
"""What a property's description has to contain for its value to be copied from the text."""
MAX_LINES = 120
MAX_CANDIDATES = 60

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATES = (
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})\b"),
    re.compile(
        rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?{_MONTH},?\s+(?P<y>\d{{4}})\b", re.IGNORECASE
    ),
    re.compile(rf"\b{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})\b", re.IGNORECASE),
    re.compile(r"\b(?P<d>\d{1,2})[./](?P<m>\d{1,2})[./](?P<y>\d{4})\b"),
)
_NUMBER = re.compile(
    r"(?<![\w.,/-])(?:\d{1,3}(?:[,. ]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?)(?![\w/-]|[.,]\d)"
)


def build_grammar(schema: dict[str, Any], text: str) -> str:
    """A grammar for a prepared schema (with its descriptions), values held to ``text`` where that applies."""
    if not _is_flat(schema):
        return f"%llguidance {{}}\nstart: {_json(schema)}\n"
    definitions: dict[str, Any] = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    start: list[str] = []
    rules: list[str] = []
    for number, (name, raw) in enumerate(schema["properties"].items()):
        start.append(_literal(("{" if number == 0 else ", ") + json.dumps(name, ensure_ascii=False) + ": "))
        start.append(f"p{number}")
        rules.append(f"p{number}: " + (_copied(raw, text) or _json({**raw, **definitions})))
    return "\n".join(["%llguidance {}", "start: " + " ".join([*start, _literal("}")]), *rules, ""])


def _is_flat(schema: dict[str, Any]) -> bool:
    """Whether every output has exactly the schema's properties, in their order."""
    properties = schema.get("properties")
    return (
        schema.get("type") == "object"
        and bool(properties)
        and set(properties or ()) == set(schema.get("required", ()))
        and not any(key in schema for key in ("anyOf", "allOf", "$ref"))
    )


def _copied(schema: dict[str, Any], text: str) -> str | None:
    """The rule of a property whose value is copied from the text, or None."""
    options = schema.get("anyOf", [schema])
    kinds = [option.get("type") for option in options]
    if len(options) == 1 and isinstance(kinds[0], list):
        kinds = list(kinds[0])
    nullable = "null" in kinds
    kinds = [kind for kind in kinds if kind != "null"]
    held = {key for option in options for key in ("enum", "const", "pattern", "$ref") if key in option}
    if len(kinds) != 1 or held:
        return None
    described = COPY_CUE in schema.get("description", "").lower()
    if any(option.get("format") == "date" for option in options):
        choices = [_literal(json.dumps(found)) for found in dates_in(text)]
    elif kinds[0] == "string" and described:
        choices = [_run_of_words(line) for line in _lines(text)]
    elif kinds[0] in ("number", "integer") and described:
        choices = [_literal(found) for found in numbers_in(text, integers=kinds[0] == "integer")]
    else:
        return None
    if not choices:
        return None
    return " | ".join([*choices, _literal("null")] if nullable else choices)


def _json(schema: dict[str, Any]) -> str:
    compact = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return "%json " + json.dumps({**schema, "x-guidance": compact}, ensure_ascii=False)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _run_of_words(line: str) -> str:
    words = re.findall(r"\S+", line)
    chunks = [words[0], *(f" {word}" for word in words[1:])]
    return f'"\\"" %regex {json.dumps({"substring_chunks": chunks}, ensure_ascii=False)} "\\""'


def _lines(text: str) -> list[str]:
    """The distinct lines of a text, without the characters that JSON would have to escape."""
    lines = (re.sub(r'[\x00-\x1f"\\]', " ", line).strip(" .:,;|") for line in text.splitlines())
    return [line for line in dict.fromkeys(lines) if line][:MAX_LINES]


def dates_in(text: str) -> list[str]:
    """The dates that occur in a text, as YYYY-MM-DD, in order; numeric ones are read day first."""
    found: dict[str, int] = {}
    for pattern in _DATES:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            month = _MONTHS.index(parts["name"].lower()) + 1 if parts.get("name") else int(parts["m"])
            try:
                value = date(int(parts["y"]), month, int(parts["d"]))
            except ValueError:  # such as 31 February: not a date after all
                continue
            found.setdefault(value.isoformat(), match.start())
    return sorted(found, key=lambda value: found[value])[:MAX_CANDIDATES]


def numbers_in(text: str, *, integers: bool = False) -> list[str]:
    """The numbers in a text, as JSON, in order: 1,240.50 and 1.240,50 both give 1240.50."""
    found: dict[str, None] = {}
    for match in _NUMBER.finditer(text):
        raw = match[0]
        cents = re.search(r"[.,](\d{1,2})$", raw)
        whole = re.sub(r"\D", "", raw[: cents.start()] if cents else raw).lstrip("0") or "0"
        if not (cents and integers):
            found.setdefault(f"{whole}.{cents[1]}" if cents else whole)
    return list(found)[:MAX_CANDIDATES]
