# ruff: noqa: E501  (raw mail reads best in one line)
"""Mail: what its reader sees, and attachments as documents of their own."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentTooLongError, UnreadableDocumentError
from tests.documents.conftest import Recall
from tests.documents.readers.compound import compound, message


def read(content: bytes, name: str = "a.eml") -> DocumentContent:
    return read_document(content, name)


def mail(**headers: str) -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Jürgen Miller <j.miller@example.com>"
    made["To"] = "a@example.com, b@example.com"
    made["Date"] = "Tue, 05 May 2026 10:00:00 +0200"
    made["Subject"] = headers.get("subject", "Rechnung für März")
    return made


HEADER = (
    "From: Jürgen Miller <j.miller@example.com>\nTo: a@example.com, b@example.com\n"
    "Date: Tue, 05 May 2026 10:00:00 +0200\nSubject: Rechnung für März"
)


class TestEml:
    def test_headers_and_text_have_their_places(self, recall: Recall) -> None:
        made = mail()
        made.set_content("Total: 12,50 €\nDue: 6 May\n")
        content = read(made.as_bytes())
        wanted = f"{HEADER}\n\nTotal: 12,50 €\nDue: 6 May"
        assert content.text == wanted
        assert content.places(0, 5) == [Place(part="header")]
        assert content.places(len(wanted) - 3, len(wanted)) == [Place(part="body")]
        recall("eml", wanted, content.text)

    def test_of_alternatives_the_one_that_is_shown_is_read(self, recall: Recall) -> None:
        made = mail()
        made.set_content("Please use a program that shows HTML.")
        made.add_alternative("<p>Total <b>12.50</b><table><tr><td>Net<td>10</table>", subtype="html")
        made.add_attachment(b"a,b\n", maintype="text", subtype="csv", filename="Posten März.csv")
        content = read(made.as_bytes())
        assert content.text == f"{HEADER}\n\nTotal 12.50\n\nNet | 10"
        assert [(a.name, a.content) for a in content.attachments] == [("Posten März.csv", b"a,b\n")]
        recall("eml", "Total 12.50 Net 10", content.text)

    def test_an_empty_alternative_is_not_shown(self) -> None:
        made = mail()
        made.set_content("Total 12")
        made.add_alternative("\n", subtype="html")
        assert read(made.as_bytes()).text.endswith("Total 12")

    def test_a_message_within_is_an_attachment_that_can_be_read(self) -> None:
        inner, outer = mail(subject="inner"), mail()
        inner.set_content("Inner 7")
        outer.set_content("Outer")
        outer.add_attachment(inner)
        content = read(outer.as_bytes())
        assert [a.name for a in content.attachments] == ["inner.eml"]
        assert "Inner 7" not in content.text
        assert read(content.attachments[0].content).text.endswith("Subject: inner\n\nInner 7")

    def test_pictures_that_the_text_shows_belong_to_it(self) -> None:
        made = mail()
        made.set_content("<p>See <img src='cid:logo@x'>", subtype="html")
        for name in ("logo@x", "other@x"):
            made.add_related(b"PNG", maintype="image", subtype="png", cid=f"<{name}>", filename=f"{name}.png")
        content = read(made.as_bytes())
        assert [a.name for a in content.attachments] == ["other@x.png"]
        assert content.notes == ("The text of 1 picture in it was not read.",)

    @pytest.mark.parametrize(
        ("raw", "wanted"),
        [
            (b"Subject: =?iso-8859-1?Q?M=E4rz?=\r\n\r\nx", "Subject: März\n\nx"),
            (b"Subject: M\xe4rz 5\r\n\r\nx", "Subject: März 5\n\nx"),
            ("Subject: März\r\n\r\nx".encode(), "Subject: März\n\nx"),
            (b"Subject: =?no-such?B?eA==?=\r\n\r\nx", "Subject: x\n\nx"),
            (b"Subject: a\r\nContent-Type: text/plain; charset=no-such\r\n\r\nGr\xc3\xb6\xc3\x9fe", "Subject: a\n\nGröße"),
            (b"Subject: a\r\nContent-Type: text/plain; format=flowed\r\n\r\nThe total \r\nis 12.\r\nNext", "Subject: a\n\nThe total is 12.\nNext"),
            (b"Subject: a\r\nContent-Type: text/html; charset=cp1251\r\n\r\n<p>\xc8\xf2\xee\xe3\xee", "Subject: a\n\nИтого"),
            (b"Subject: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ncut off", "Subject: a\n\ncut off"),
            (b"Subject: a\r\nContent-Transfer-Encoding: base64\r\n\r\nVG90YWwgMTI=!!", "Subject: a\n\nTotal 12"),
        ],
    )  # fmt: skip
    def test_odd_headers_and_texts_are_read(self, raw: bytes, wanted: str) -> None:
        assert read(raw).text == wanted

    def test_what_is_no_mail_is_refused(self) -> None:
        for content in (b"just text", b"\0" * 100, b"\xd0\xcf\x11\xe0" * 50):
            with pytest.raises(UnreadableDocumentError, match=r"a\.eml is not a mail"):
                read(content)

    def test_an_encrypted_mail_is_named(self) -> None:
        with pytest.raises(UnreadableDocumentError, match="encrypted"):
            read(b"Subject: a\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nx")

    def test_many_or_deep_parts_are_refused(self) -> None:
        many = (
            b"Subject: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 3_000
        )
        with pytest.raises(DocumentTooLongError, match="the limit is 2,000 parts"):
            read(many)
        deep = b"Subject: a\r\n" + b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(3_000)
        )
        with pytest.raises(UnreadableDocumentError, match=r"a\.eml"):
            read(deep + b"\r\nx")


FILETIME = 134224416000000000  # 2026-05-05 08:00 UTC


def outlook(**more: object) -> bytes:
    attachment = message({0x3707: "Posten März.csv"}, binary={0x3701: b"a,b\n"}, head=8)
    inner = message({0x0037: "inner", 0x1000: "Inner 7"}, head=24)
    recipient = message({0x3001: "A. Smith", 0x39FE: "a@example.com"}, fixed={0x0C15: 1}, head=8)
    storages = {
        "__recip_version1.0_#00000000": recipient,
        "__attach_version1.0_#00000000": attachment,
        "__attach_version1.0_#00000001": {"__properties_version1.0": bytes(8), "__substg1.0_3701000D": inner},
    }
    return compound(message(
        {0x0037: "Rechnung für März", 0x0C1A: "Jürgen Miller", 0x5D01: "j.miller@example.com",
         0x1000: "Total: 12,50 €\r\nDue: 6 May"},
        fixed={0x0039: FILETIME}, **(storages | more),
    ))  # fmt: skip


class TestMsg:
    def test_headers_text_and_attachments_are_read(self, recall: Recall) -> None:
        content = read(outlook(), "a.msg")
        wanted = (
            "From: Jürgen Miller <j.miller@example.com>\nTo: A. Smith <a@example.com>\n"
            "Date: Tue, 05 May 2026 08:00:00 +0000\nSubject: Rechnung für März\n\nTotal: 12,50 €\nDue: 6 May"
        )
        assert content.text == wanted
        assert [a.name for a in content.attachments] == ["Posten März.csv", "inner.eml"]
        assert read(content.attachments[1].content).text == "Subject: inner\n\nInner 7"
        recall("msg", wanted, content.text)

    def test_html_is_read_where_it_is_the_text(self) -> None:
        html = {"__substg1.0_10130102": "<meta charset=utf-8><p>Summe <b>12</b> €".encode()}
        assert read(outlook(**html), "a.msg").text.endswith("\n\nSumme 12 €")

    def test_rtf_is_read_where_nothing_else_is_there(self) -> None:
        packed = bytes.fromhex(  # the example of MS-OXRTFCP, 4.1
            "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
        )
        content = compound(message({0x0037: "a"}, binary={0x1009: packed}))
        assert read(content, "a.msg").text == "Subject: a\n\nhello world"

    def test_old_strings_are_in_the_code_page_that_the_message_names(self) -> None:
        made = message({0x1000: "x"}, fixed={0x3FFD: 1251})
        made["__substg1.0_0037001E"] = "Счёт".encode("cp1251")
        assert read(compound(made), "a.msg").text == "Subject: Счёт\n\nx"

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"Subject: a\r\n\r\nx", "rename it to .eml"),
            (compound({"WordDocument": b"x"}), "old format of Word"),
            (outlook()[:700], "a.msg"),
        ],
    )
    def test_what_is_none_is_refused(self, content: bytes, said: str) -> None:
        with pytest.raises(UnreadableDocumentError, match=said):
            read(content, "a.msg")

    @pytest.mark.parametrize(
        ("stream", "said"),
        [("WordDocument", r"\.doc"), ("Workbook", r"\.xls"), ("PowerPoint Document", r"\.ppt"), ("EncryptedPackage", "encrypted"),
         ("__properties_version1.0", r"\.msg"), ("other", "old format of Office")],
    )  # fmt: skip
    def test_other_compound_files_are_named_as_what_they_are(self, stream: str, said: str) -> None:
        with pytest.raises(UnreadableDocumentError, match=said):
            read(compound({stream: b"x"}), "a.docx")
