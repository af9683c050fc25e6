"""Numbers of lists and clauses: Word keeps definitions, and counts when it shows the document."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from agent_tasks.documents.readers.docx.styles import Styles
from agent_tasks.documents.readers.ooxml import is_on

_LEVELS = 9
_REFERENCE = re.compile(r"%([1-9])")
_MAX_LABEL = 200


@dataclass(slots=True)
class Level:
    """How the paragraphs of a level are numbered."""

    start: int = 1
    form: str = "decimal"
    custom: str = ""
    text: str = ""
    restart: int | None = None
    """The level (from 1) after which it starts again; 0 for never; None for after any higher one."""
    legal: bool = False
    style: str | None = None


@dataclass(slots=True)
class AbstractList:
    """A definition that several lists may share, and with it their counters."""

    levels: dict[int, Level] = field(default_factory=dict)
    style: str | None = None
    """The style that stands for this definition."""
    defined_by: str | None = None
    """The style whose definition this one takes."""
    counters: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class NumberedList:
    """A list: a definition with what it changes."""

    abstract: str = ""
    starts: dict[int, int] = field(default_factory=dict)
    levels: dict[int, Level] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)


class Numbering:
    """The events of ``numbering.xml``, then the label of one paragraph after the other."""

    def __init__(self) -> None:
        self._abstract: dict[str, AbstractList] = {}
        self._lists: dict[str, NumberedList] = {}
        self._open_abstract: AbstractList | None = None
        self._open_list: NumberedList | None = None
        self._override: int | None = None
        self._level: Level | None = None

    # --- reading ---

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        value = attributes.get("w:val", "")
        if name == "w:abstractNum":
            self._open_abstract = AbstractList()
            self._abstract[attributes.get("w:abstractNumId", "")] = self._open_abstract
        elif name == "w:num":
            self._open_list = self._lists[attributes.get("w:numId", "")] = NumberedList()
        elif name == "w:lvl":
            self._start_level(attributes)
        elif name == "w:lvlOverride":
            self._override = _level_number(attributes)
        elif self._level is not None:
            _define(self._level, name, value, attributes)
        elif self._open_list is not None:
            if name == "w:abstractNumId":
                self._open_list.abstract = value
            elif name == "w:startOverride" and self._override is not None:
                self._open_list.starts[self._override] = _number(value, 1)
        elif self._open_abstract is not None:
            if name == "w:styleLink":
                self._open_abstract.style = value
            elif name == "w:numStyleLink":
                self._open_abstract.defined_by = value

    def end(self, name: str) -> None:
        """Leave an element."""
        if name == "w:lvl":
            self._level = None
        elif name == "w:lvlOverride":
            self._override = None
        elif name == "w:num":
            self._open_list = None
        elif name == "w:abstractNum":
            self._open_abstract = None

    def text(self, data: str) -> None:
        """Take no text."""

    def _start_level(self, attributes: dict[str, str]) -> None:
        number = _level_number(attributes)
        if number is None:
            return
        self._level = Level()
        if self._open_list is not None:
            self._open_list.levels[number] = self._level
        elif self._open_abstract is not None:
            self._open_abstract.levels[number] = self._level

    def define(self, name: str, abstract: AbstractList) -> None:
        """Add a definition."""
        self._abstract[name] = abstract

    def use(self, name: str, of_paragraphs: NumberedList) -> None:
        """Add a list that paragraphs name."""
        self._lists[name] = of_paragraphs

    # --- counting ---

    def label(self, numbering: str | None, level: int | None, style: str | None, styles: Styles) -> str:
        """Count a paragraph, and return the label before it.

        Args:
            numbering: The list that the paragraph names itself, if it does.
            level: The level that it names.
            style: Its style, which may belong to a list.
            styles: All styles.
        """
        if numbering is None:
            numbering, level_of_style = styles.numbering(style)
            level = level if level is not None else level_of_style
        if numbering is None or (of_list := self._lists.get(numbering)) is None:
            return ""
        abstract = self._definition(of_list, styles)
        if abstract is None:
            return ""
        if level is None:
            level = next((n for n, known in abstract.levels.items() if style and known.style == style), 0)
        if level >= _LEVELS:
            return ""
        self._count(of_list, abstract, level)
        return self._written(of_list, abstract, level)

    def _definition(self, of_list: NumberedList, styles: Styles) -> AbstractList | None:
        abstract = self._abstract.get(of_list.abstract)
        if abstract is None or abstract.defined_by is None or abstract.levels:
            return abstract
        for candidate in self._abstract.values():
            if candidate.style == abstract.defined_by and candidate.levels:
                return candidate
        other = self._lists.get(styles.numbering(abstract.defined_by)[0] or "")
        return self._abstract.get(other.abstract) if other is not None else abstract

    def _count(self, of_list: NumberedList, abstract: AbstractList, level: int) -> None:
        counters = abstract.counters
        started_over = level in of_list.starts and level not in of_list.begun
        of_list.begun.add(level)
        if started_over:
            counters[level] = of_list.starts[level]
        elif level in counters:
            counters[level] += 1
        else:
            counters[level] = of_list.starts.get(level, _known(of_list, abstract, level).start)
        for lower in [n for n in counters if n > level]:
            restart = _known(of_list, abstract, lower).restart
            if restart is None or (restart and level < restart):
                del counters[lower]

    @staticmethod
    def _written(of_list: NumberedList, abstract: AbstractList, level: int) -> str:
        this = _known(of_list, abstract, level)
        if this.form == "bullet":
            return "•"

        def shown(reference: re.Match[str]) -> str:
            number = int(reference[1]) - 1
            known = _known(of_list, abstract, number)
            count = abstract.counters.get(number, of_list.starts.get(number, known.start))
            form = "decimal" if this.legal and known.form != "decimalZero" else known.form
            return written_number(count, form, known.custom)

        return _REFERENCE.sub(shown, this.text)[:_MAX_LABEL].strip()


def _known(of_list: NumberedList, abstract: AbstractList, level: int) -> Level:
    return of_list.levels.get(level) or abstract.levels.get(level) or Level()


def _define(level: Level, name: str, value: str, attributes: dict[str, str]) -> None:
    if name == "w:start":
        level.start = _number(value, 1)
    elif name == "w:numFmt":
        level.form, level.custom = value, attributes.get("w:format", "")
    elif name == "w:lvlText":
        level.text = value
    elif name == "w:lvlRestart":
        level.restart = _number(value, 0)
    elif name == "w:isLgl":
        level.legal = is_on(attributes)
    elif name == "w:pStyle":
        level.style = value


def _level_number(attributes: dict[str, str]) -> int | None:
    number = _number(attributes.get("w:ilvl", ""), -1)
    return number if 0 <= number < _LEVELS else None


def _number(value: str, otherwise: int) -> int:
    return int(value) if value.isdecimal() and len(value) < 12 else otherwise


# --- forms of numbers --------------------------------------------------------------------------------------

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
    (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_HAN = "〇一二三四五六七八九"
_HAN_FORMS = (
    "chineseCounting", "chineseCountingThousand", "ideographDigital", "japaneseCounting",
    "taiwaneseCounting", "taiwaneseCountingThousand",
)  # fmt: skip
_CYRILLIC = "абвгдежзиклмнопрстуфхцчшщэюя"


def written_number(number: int, form: str, custom: str = "") -> str:
    """Write a number as a list shows it; in digits where the form is not known, or endless."""
    if form in ("none", "bullet"):
        return ""
    if form == "custom" and custom.split(",")[0].strip().isdecimal():  # such as `001, 002, 003, ...`
        return str(number).zfill(len(custom.split(",")[0].strip()))
    write = _FORMS.get(form)
    return write(number) if write is not None else str(number)


def _roman(number: int) -> str:
    if not 0 < number < 4000:
        return str(number)
    written = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        written += letters * count
    return written


def _letters(number: int, alphabet: str) -> str:
    repeated, position = divmod(number - 1, len(alphabet))
    return alphabet[position] * (repeated + 1) if number > 0 and repeated < 30 else str(number)


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _han(number: int) -> str:
    if not 0 < number < 100:
        return str(number)
    tens, ones = divmod(number, 10)
    return ("" if tens < 2 else _HAN[tens]) + ("十" if tens else "") + (_HAN[ones] if ones else "")


_LATIN = "abcdefghijklmnopqrstuvwxyz"
_FORMS: dict[str, Callable[[int], str]] = {
    "decimalZero": lambda n: f"{n:02}",
    "lowerRoman": _roman,
    "upperRoman": lambda n: _roman(n).upper(),
    "lowerLetter": lambda n: _letters(n, _LATIN),
    "upperLetter": lambda n: _letters(n, _LATIN).upper(),
    "russianLower": lambda n: _letters(n, _CYRILLIC),
    "russianUpper": lambda n: _letters(n, _CYRILLIC).upper(),
    "ordinal": _ordinal,
    "decimalEnclosedParen": lambda n: f"({n})",
    "decimalEnclosedFullstop": lambda n: f"{n}.",
    "numberInDash": lambda n: f"- {n} -",
    "decimalEnclosedCircle": lambda n: chr(0x2460 + n - 1) if 0 < n < 21 else str(n),
    "decimalFullWidth": lambda n: str(n).translate({ord("0") + d: 0xFF10 + d for d in range(10)}),
    **dict.fromkeys(_HAN_FORMS, _han),
}
