# ruff: noqa: E501  (RTF reads best in one line)
"""RTF: characters of every code page, tables, notes, and nothing that is hidden."""

from __future__ import annotations

import time

import pytest

from agent_tasks.documents.content import Place
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import EmptyDocumentError, UnreadableDocumentError
from tests.documents.conftest import Recall

FONTS = r"{\fonttbl{\f0\fcharset0 Times;}{\f1\fcharset204 Arial;}{\f2\fcharset128 Mincho;}{\f3\fcharset2 Symbol;}}"


def text(body: str) -> str:
    return read_document(
        (r"{\rtf1\ansi\ansicpg1252" + FONTS + r"\f0 " + body + "}").encode("latin-1"), "a.rtf"
    ).text


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (r"Total 12.50\par Due: 5 May", "Total 12.50\nDue: 5 May"),
        (r"Gr\'f6\'dfe {\b 3} m \endash  f\u252\'fcr M\u252?ller", "Größe 3 m – für Müller"),
        (r"{\f1 \'c8\'f2\'ee\'e3\'ee} 12", "Итого 12"),
        (r"{\f2 \'8d\'87\'8cv} 5", "合計 5"),
        (r"{\f3 a\'a3}", "α≤"),
        (r"\uc0\u21512 \u35336  \u-10179 \u-8704 ", "合計 😀"),
        (r"{\uc2\u8364 xx}5", "€5"),
        (r"a\~b INV\_7 soft\-ware \{x\}", "a b INV-7 software {x}"),
        (r"\trowd\pard\intbl Item\cell Price\cell\row\trowd\pard\intbl Pump\par blue\cell 12\par 345\cell\row\pard end", "Item | Price\nPump blue | 12; 345\nend"),
        (r"\pard\intbl\itap2 1\nestcell 2\nestcell{\*\nesttableprops\nestrow}{\nonesttables\par}\pard\intbl x\cell y\cell\row", "1 | 2 x | y"),
        (r"seen {\v SECRET}{\deleted SECRET}{\*\unknown SECRET}{\info{\title SECRET}}{\pict 0011}too", "seen too"),
        (r"{\field{\*\fldinst HYPERLINK SECRET}{\fldrslt a link}}", "a link"),
        (r"{\listtext 1.\tab}First\par {\listtext 2.\tab}Second", "1.\tFirst\n2.\tSecond"),
        (r"950{\super\chftn{\footnote {\super\chftn} Plus VAT.}} a year\par Next", "950[1] a year\n[1] Plus VAT.\nNext"),
        (r"{\upr{SECRET}{\*\ud M\u252 ?ller}}", "Müller"),
        (r"{\header Acme 1\par}{\footer IBAN 2\par}Body", "Acme 1\nBody\nIBAN 2"),
        (r"x{\*\atnauthor A. Miller}{\*\annotation Was 900?} y", "x y\n[Comment by A. Miller: Was 900?]"),
        (r"{\shp{\*\shpinst{\sp{\sn x}{\sv SECRET}}{\shptxt boxed 3\par}}}after", "after\nboxed 3"),
        (r"a{\bin5 }}}}}b", "ab"),
        ("split\r\n word", "split word"),
    ],
)  # fmt: skip
def test_what_word_shows_is_read(body: str, wanted: str, recall: Recall) -> None:
    assert text(body) == wanted
    recall("rtf", wanted, text(body))


LISTS = (
    r"{\*\listtable{\list\listtemplateid7\listhybrid"
    r"{\listlevel\levelnfc0\levelnfcn0\levelstartat3{\leveltext\leveltemplateid1\'02\'00.;}{\levelnumbers\'01;}\fi-360}"
    r"{\listlevel\levelnfc4\levelstartat1{\leveltext\'04\'00-\'01\u41 ?;}{\levelnumbers\'01\'03;}}{\listname ;}\listid42}}"
    r"{\*\listoverridetable{\listoverride\listid42\listoverridecount0\ls1}"
    r"{\listoverride\listid42\listoverridecount1{\lfolevel\listoverridestartat\levelstartat7}\ls2}}"
)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (r"\pard\ls1 Rent\par Heating\par\ilvl1 Gas\par Oil\par\pard plain\par\pard\ls1 Term", "3. Rent\n4. Heating\n4-a) Gas\n4-b) Oil\nplain\n5. Term"),
        (r"{\pard\ls1 Rent\par}{\pard{\listtext\pard\plain 4)\tab}\ls1 Heating\par}{\pard\ls1 Term\par}", "3. Rent\n4)\tHeating\n5. Term"),
        (r"\trowd\pard\intbl\ls1 Item\cell\pard\intbl Price\cell\row\pard end", "3. Item | Price\nend"),
        (r"\pard\ls1 Rent\par\pard\ls2 Heating\par Term\par", "3. Rent\n7. Heating\n8. Term"),
        (r"\pard\ls9 no such list\par\pard\ls1\ilvl12 no such level", "no such list\nno such level"),
    ],
)  # fmt: skip
def test_paragraphs_of_lists_have_their_numbers(body: str, wanted: str, recall: Recall) -> None:
    assert text(LISTS + body) == wanted
    recall("rtf", wanted, text(LISTS + body))


def test_notes_and_headers_have_their_places() -> None:
    content = read_document(rb"{\rtf1{\header Acme\par}x{\footnote Net.}}", "a.rtf")
    assert [section.place for section in content.sections] == [Place(part="header"), Place(part="footnote 1")]


@pytest.mark.parametrize(
    "body",
    [
        "{" * 200_000,
        "}" * 200_000,
        r"{\footnote " * 20_000,
        r"\u99999999999 x",
        r"\bin2000000000 x",
        r"\'zz",
        "\\",
    ],
)
def test_hostile_documents_cost_nothing(body: str) -> None:
    started = time.process_time()
    try:
        text("x" + body)
    except (EmptyDocumentError, UnreadableDocumentError) as error:
        pytest.fail(str(error))
    assert time.process_time() - started < 3


def test_what_is_no_rtf_is_named() -> None:
    with pytest.raises(UnreadableDocumentError, match=r"a\.rtf is not an RTF document"):
        read_document(b"PK", "a.rtf")
