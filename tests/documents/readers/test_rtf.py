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
