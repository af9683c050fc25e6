# ruff: noqa: E501  (texts of many scripts)
"""Plain text: recognised or refused, never mojibake."""

from __future__ import annotations

import itertools
import random

import pytest

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import UnreadableDocumentError
from tests.documents.conftest import Recall

# fmt: off
TEXTS = {
    "cp1252": ("Größe: 3 m – für Müller", "Prix total : 1 250,00 € à régler avant le 5 février.",
               "El año pasado, la señora pagó 12 euros.", "Preço total: 12 euros não pago", "“Quoted” – it’s 5 €",
               "£ 5 and ½ pint", "På gång för år 2026", "Æble på bordet og grød"),
    "cp1250": ("Faktura nr 7. Łódź, ul. Świętokrzyska. Razem: 1250 zł", "Příliš žluťoučký kůň úpěl ďábelské ódy",
               "Számla a vevő részére: fizetendő összeg és határidő"),
    "iso8859_2": ("Faktura nr 7. Łódź, ul. Świętokrzyska. Razem: 1250 zł",),
    "cp1251": ("Счёт № 42 на сумму 1250 руб.", "Договор аренды. Плата 950 евро в месяц.", "ДОГОВОР № 5", "Итого 12"),
    "koi8_r": ("Договор аренды нежилого помещения. Арендная плата составляет 950 евро в месяц.",),
    "cp1253": ("Τιμολόγιο 42, σύνολο 1.250 ευρώ. Ευχαριστούμε για την προτίμησή σας.",),
    "cp1256": ("فاتورة رقم 42 المبلغ الإجمالي 1250 دولار",),
    "cp874": ("ใบแจ้งหนี้เลขที่ 42 ยอดรวม 1,250 บาท",),
    "shift_jis": ("請求書番号 42 合計 1,250円", "株式会社山田商事 御中 下記の通りご請求申し上げます。"),
    "euc_jp": ("株式会社山田商事 御中 下記の通りご請求申し上げます。",),
    "iso2022_jp": ("請求書番号 42 合計 1,250円",),
    "gb18030": ("发票号码 42 合计 1,250元", "北京市海淀区中关村大街一号 合同金额为人民币一千二百五十元整。"),
    "big5": ("發票號碼 42 合計 1,250元", "臺北市信義區市府路一號 合約金額為新臺幣一千二百五十元整。"),
    "cp949": ("청구서 번호 42 합계 1,250원",),
    "utf-8": ("Größe", "合計 12"), "utf-8-sig": ("Größe",), "utf-16": ("Größe",), "utf-32": ("Größe",),
    "utf-16-le": ("Total: 12.50 EUR", "Größe 5", "合計 1,250円 と 消費税 10"), "utf-16-be": ("Total: 12.50 EUR", "Größe 5"),
    "utf-32-le": ("Total: 12.50 EUR",), "utf-32-be": ("Total: 12.50 EUR",),
}
# fmt: on


def read(content: bytes, name: str = "a.txt") -> DocumentContent:
    return read_document(content, name)


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "text"), [(encoding, text) for encoding, texts in TEXTS.items() for text in texts]
    )
    def test_are_recognised(self, encoding: str, text: str, recall: Recall) -> None:
        assert read(text.encode(encoding)).text == text
        recall("text", text, read(text.encode(encoding)).text)

    @pytest.mark.parametrize("encoding", [name for name in TEXTS if not name.startswith(("utf", "iso2022"))])
    def test_are_never_turned_into_other_letters(self, encoding: str) -> None:
        """Every short piece of the texts is read right, or refused with the remedy."""
        for text in TEXTS[encoding]:
            words = text.split()
            for piece in {*words, *map(" ".join, itertools.pairwise(words))}:
                if sum(char > "\x7f" for char in piece) > 1:
                    assert self._text_or_remedy(piece.encode(encoding)) in (piece, "save it as UTF-8")

    def _text_or_remedy(self, content: bytes) -> str:
        try:
            return read(content).text
        except UnreadableDocumentError as error:
            return "save it as UTF-8" if "save it as UTF-8" in str(error) else str(error)

    def test_one_stray_byte_does_not_change_the_rest(self) -> None:
        content = read("Größe: 3 m\nMüller, Köln\n".encode() + b"caf\xe9")
        assert content.text == "Größe: 3 m\nMüller, Köln\ncaf\ufffd"
        assert content.notes == ("1 bytes in it are not UTF-8 as the rest is, the first in line 3.",)
        with pytest.raises(UnreadableDocumentError, match="UTF-8"):
            read("Größe".encode() + b" caf\xe9 ann\xe9e")

    def test_text_is_in_the_form_nfc(self) -> None:
        assert read("Mu\u0308ller".encode()).text == "Müller"

    @pytest.mark.parametrize(
        "content",
        [bytes(range(256)), b"\x89PNG\r\n\x1a\n" + bytes(200), b"\x00\x01\x02 text", b"\xff\xfea", b"\xe4" * 50,
         b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00", random.Random(7).randbytes(400)],
    )  # fmt: skip
    def test_binary_data_is_refused(self, content: bytes) -> None:
        with pytest.raises(UnreadableDocumentError, match=r"a\.txt cannot be read as text"):
            read(content)


class TestLines:
    def test_there_is_one_kind_of_line_end_and_few_blank_lines(self) -> None:
        assert read(b"\n\na  b \r\nc\rd\n\n\n\n\ne\n", "a.md").text == "a  b\nc\nd\n\ne"

    def test_indentation_of_source_files_is_kept(self) -> None:
        assert read(b"def f():\n    return 1\n", "a.py").text == "def f():\n    return 1"
