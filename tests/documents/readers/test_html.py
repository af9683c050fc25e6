# ruff: noqa: E501  (HTML reads best in one line)
"""HTML: what a browser shows, and nothing that hides itself."""

from __future__ import annotations

import time

import pytest

from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentTooLongError, EmptyDocumentError
from tests.documents.conftest import Recall


def text(html: str | bytes) -> str:
    return read_document(html.encode() if isinstance(html, str) else html, "a.html").text


class TestWhatIsShown:
    def test_blocks_stand_on_lines_and_scripts_are_dropped(self, recall: Recall) -> None:
        html = """<!doctype html><html><head><title>T</title><style>p{}</style></head><body>
          <h1>Invoice <em>no.</em>
            7</h1><div>From:<br>Acme &amp; Co<div>Oslo</div></div><!-- note -->
          <p>Total&nbsp;due</p><script>alert(1)</script><ul><li>one<li>two</ul></body></html>"""
        wanted = "Invoice no. 7\n\nFrom:\nAcme & Co\nOslo\n\nTotal due\n\none\ntwo"
        assert text(html) == wanted
        recall("html", wanted, text(html))

    @pytest.mark.parametrize(
        ("html", "wanted"),
        [
            ("<!doctype html><title>T</title>Total 12<p>due", "Total 12\n\ndue"),
            ("<!doctype html><x-invoice>Total 12</x-invoice> due", "Total 12 due"),
            ("Total 12", "Total 12"),
            ("<table><td>1<td>2<tr><td>3</table>", "1 | 2\n3"),
            ("<td>1<td>2", "1 | 2"),
            ("<tr><td>1<td>2<tr><th>3", "1 | 2\n3"),
            ("Total <input value='12.50'> <input type=number value=3>", "Total 12.50 3"),
            ("<input type=checkbox checked> yes <input type=radio> no", "☒ yes ☐ no"),
            ("Stamp: <img src=x alt='PAID 5 May'>.", "Stamp: PAID 5 May ."),
            ("<select><option>EUR<option selected>USD</select> 5", "USD 5"),
            ("<select><option>EUR<option>USD</select> 5", "EUR 5"),
            ("<select multiple><option>a<option>b</select>", "a, b"),
            ("Note:<textarea>call\n 12</textarea>", "Note: call\n12"),
            ("<pre>24.99   5.00\n  1.00</pre>", "24.99\t5.00\n1.00"),
            ("<svg><text>Sales</text><text>12</text><title>t</title></svg>", "Sales 12"),
            ("<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>", "1/2"),
            ("<ruby>東<rp>(<rt>とう<rp>)</ruby>京", "東京"),
            ("63 m<sup>2</sup> of CO<sub>2</sub>, EUR 950<sup>1)</sup>", "63 m² of CO₂, EUR 950¹)"),
            ("<button>Pay 12</button>", "Pay 12"),
            ("<p aria-hidden=true>★ 4.5</p>", "★ 4.5"),
            ("<details><summary>More</summary>7</details>", "More\n7"),
        ],
    )
    def test_nothing_of_it_is_lost(self, html: str, wanted: str, recall: Recall) -> None:
        assert text(html) == wanted
        recall("html", wanted, text(html))

    @pytest.mark.parametrize(
        "hidden",
        [
            "<p hidden>SECRET</p>", "<p style='color:red; display : none'>SECRET</p>", "<div style='visibility:hidden'>SECRET</div>",
            "<span style='opacity:0'>SECRET</span>", "<span style='font-size:0px'>SECRET</span>", "<input type=hidden value=SECRET>",
            "<input type=password value=SECRET>", "<template>SECRET</template>", "<noscript>SECRET</noscript>",
            "<dialog>SECRET</dialog>", "<!-- SECRET -->", "<div hidden><table><tr><td>SECRET</table></div>",
            "<table><tr hidden><td>SECRET<td>SECRET</table>",
        ],
    )  # fmt: skip
    def test_what_hides_itself_is_not_read(self, hidden: str) -> None:
        assert text(f"<p>seen {hidden}<p style='opacity:0.5;font-size:0.9em'>too").split() == ["seen", "too"]


class TestTables:
    def test_are_written_row_by_row(self, recall: Recall) -> None:
        html = """<table><caption>Prices</caption><thead><tr><th>Item</th><th>Price</th></tr></thead><tbody>
          <tr><td><p>Pump</p><p>blue</p></td><td> 12.00 </td></tr></tbody></table>"""
        assert text(html) == "Prices\nItem | Price\nPump blue | 12.00"
        recall("html", "Prices Item Price Pump blue 12.00", text(html))

    def test_within_a_table_for_layout_keep_their_rows(self) -> None:
        html = "<table><tr><td>x<table><tr><td>a<td>b<tr><td>c<td>d</table></td><td>y</tr></table>"
        assert text(html) == "x\na | b\nc | d\n| y"

    def test_two_numbers_of_a_cell_do_not_become_one(self) -> None:
        assert text("<table><tr><td>12<br>345<td>x</table>") == "12; 345 | x"


class TestEncodings:
    def test_that_is_declared_is_honoured(self) -> None:
        assert text('<meta charset="iso-8859-2"><p>Łódź</p>'.encode("iso-8859-2")) == "Łódź"
        assert (
            text("<meta http-equiv=x content='text/html; charset=shift_jis'><p>合計".encode("shift_jis"))
            == "合計"
        )
        assert text("<meta charset=gb2312><p>联通".encode("gbk")) == "联通"

    @pytest.mark.parametrize(
        "charset",
        [
            "no-such-charset",
            "ascii",
            "utf-16",
            "utf-7",
            "base64",
            "\udce4".encode(errors="surrogateescape").decode("latin-1"),
        ],
    )
    def test_that_is_untrue_or_unknown_is_survived(self, charset: str) -> None:
        assert text(f'<meta charset="{charset}"><p>Łódź</p>') == "Łódź"


class TestHostileFiles:
    def test_nesting_costs_nothing(self) -> None:
        started = time.process_time()
        assert text("<div>" * 9_000 + "deep") == "deep"
        assert text("<b><i>" * 4_000 + "deep") == "deep"
        assert text("<p>x" * 50_000).count("x") == 50_000
        with pytest.raises(DocumentTooLongError, match=r"a\.html has elements nested too deep"):
            text("<div>" * 100_000 + "deep")
        assert time.process_time() - started < 8

    def test_lone_surrogates_do_not_leave_the_reader(self) -> None:
        assert text("<p>a&#xD800;b") == "a\ufffdb"

    def test_a_page_of_nothing_is_empty(self) -> None:
        with pytest.raises(EmptyDocumentError):
            text("<html><script>x</script><p> </p></html>")
