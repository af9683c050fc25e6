"""Grammars that hold a small model's output to a JSON schema, and its values to what stands in the prompt.

The grammar is LLGuidance's: a JSON schema as it is, or, for a flat object, a rule for each property, so
that values can be held to the text of the conversation. A model of this size invents them otherwise; so
it chooses among what is there. With ``format: date`` a value is one of the dates in the text, if there
are any. A property whose description says "as written" is copied:

- a string is a run of words within one line of the text; with a ``pattern`` it is one of the pieces of text
  that match the pattern;
- an enum is reduced to the choices whose words occur in the text, if any does;
- a number is one of the numbers in the text; with ``multipleOf: 0.01`` one of its amounts of money.

Where nothing in the text qualifies, null is the only choice if the schema allows it; else the schema decides.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

COPY_CUE = "as written"
"""What a property's description has to contain for its value to be copied from the text."""
_CURRENCY = r"(?:[$€£¥]|EUR|USD|GBP|CHF|NOK|SEK|DKK|PLN|CZK|JPY|CAD|AUD)"
_CURRENCY_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
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
    r"(?<![\w,/-])(?<!\w\.)(?:\d{1,3}(?:[,. '’]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?)(?![\w/-]|[.,]\d)"
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
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    if len(options) != 1 or "$ref" in options[0] or "const" in options[0]:
        return None
    option = options[0]
    kinds = option.get("type")
    names = [kinds] if isinstance(kinds, str) else list(kinds or ())
    nullable = "null" in names or len(options) < len(schema.get("anyOf", [schema]))
    names = [name for name in names if name != "null"]
    if len(names) != 1:
        return None
    choices = _choices(names[0], option, COPY_CUE in schema.get("description", "").lower(), text)
    if choices is None or not (choices or nullable):
        return None
    return " | ".join([*choices, _literal("null")] if nullable else choices)


def _choices(kind: str, schema: dict[str, Any], copied: bool, text: str) -> list[str] | None:
    """What the text offers for a property, as alternatives of a rule; None if the schema alone decides."""
    if kind == "string" and schema.get("format") == "date":
        return [_literal(json.dumps(found)) for found in dates_in(text)] or None
    if not copied:
        return None
    if "enum" in schema:
        named = [value for value in schema["enum"] if isinstance(value, str) and _is_named(value, text)]
        return [_literal(json.dumps(value, ensure_ascii=False)) for value in named]
    if kind == "string" and "pattern" in schema:
        found = matches_in(text, schema["pattern"])
        return [_literal(json.dumps(value, ensure_ascii=False)) for value in found]
    if kind == "string":
        return [_run_of_words(line) for line in _lines(text)]
    if kind in ("number", "integer"):
        money = schema.get("multipleOf") == 0.01
        return [_literal(found) for found in numbers_in(text, integers=kind == "integer", money=money)]
    return None


def _is_named(choice: str, text: str) -> bool:
    """Whether a choice of an enum occurs in the text: its words, or a sign that stands for it."""
    words = r"\W+".join(map(re.escape, re.split(r"[\W_]+", choice)))
    return bool(re.search(rf"\b{words}\b", text, re.IGNORECASE)) or _CURRENCY_SIGNS.get(choice, "\0") in text


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
    lines = (re.sub(r'[\x00-\x1f"\\]', " ", line).strip(" :,;|") for line in text.splitlines())
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


def numbers_in(text: str, *, integers: bool = False, money: bool = False) -> list[str]:
    """The numbers in a text, as JSON, in order: 1,240.50 and 1.240,50 both give 1240.50.

    ``money`` leaves those that have two decimals or stand beside a currency.
    """
    found: dict[str, None] = {}
    for match in _NUMBER.finditer(text):
        cents = re.search(r"[.,](\d{1,2})$", match[0])
        if money and not (cents and len(cents[1]) == 2) and not _beside_currency(text, match):
            continue
        whole = re.sub(r"\D", "", match[0][: cents.start()] if cents else match[0]).lstrip("0") or "0"
        if not (cents and integers):
            found.setdefault(f"{whole}.{cents[1]}" if cents else whole)
    return list(found)[:MAX_CANDIDATES]


def _beside_currency(text: str, number: re.Match[str]) -> bool:
    before, after = text[max(0, number.start() - 5) : number.start()], text[number.end() : number.end() + 5]
    return bool(re.search(rf"{_CURRENCY}\s?$", before) or re.match(rf"\s?{_CURRENCY}", after))


def matches_in(text: str, pattern: str) -> list[str]:
    """The pieces of a text, of up to four words in a line, that match a whole pattern; in order, no overlaps.

    Of two that overlap the longer one counts.
    """
    whole = re.compile(pattern)
    found: dict[str, None] = {}
    for line in _lines(text):
        words = [match.span() for match in re.finditer(r"[^\s,;:()|]+", line)]
        index = 0
        while index < len(words):
            for last in range(min(index + 3, len(words) - 1), index - 1, -1):
                piece = line[words[index][0] : words[last][1]].rstrip(".")
                if whole.fullmatch(piece):
                    found.setdefault(piece)
                    index = last
                    break
            index += 1
    return list(found)[:MAX_CANDIDATES]
