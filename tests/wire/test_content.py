"""Helpers for messages: what is sent, and answers with their marks replaced."""

import base64
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import wire

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def answer(text: str, *annotations: dict[str, Any]) -> wire.ThreadMessage:
    return wire.ThreadMessage.model_validate(
        {
            "id": "msg_1",
            "created_at": 1,
            "thread_id": "thread_1",
            "role": "assistant",
            "content": [
                {"type": "text", "text": {"value": text, "annotations": list(annotations)}},
                {"type": "image_file", "image_file": {"file_id": "assistant-img"}},
            ],
        }
    )


def cited(mark: str, start: int, file_id: str) -> dict[str, Any]:
    return {
        "type": "file_citation",
        "text": mark,
        "start_index": start,
        "end_index": start + len(mark),
        "file_citation": {"file_id": file_id},
    }


def page(mark: str, url: str, title: str | None = None) -> dict[str, Any]:
    return {"type": "url_citation", "text": mark, "url_citation": {"url": url, "title": title}}


def made(mark: str, file_id: str) -> dict[str, Any]:
    return {"type": "file_path", "text": mark, "file_path": {"file_id": file_id}}


def test_parts_and_annotations_by_their_kind() -> None:
    message = answer(
        "a【4:0†source】b【5:0†source】",
        cited("【4:0†source】", 1, "assistant-a"),
        page("【5:0†source】", "https://example.org"),
        made("sandbox:/x.csv", "assistant-x"),
        {"type": "newer", "text": "?"},
    )
    assert [part.text.value[0] for part in message.text_messages] == ["a"]
    assert [part.image_file.file_id for part in message.image_contents] == ["assistant-img"]
    assert [mark.file_citation.file_id for mark in message.file_citation_annotations] == ["assistant-a"]
    assert [mark.url_citation.url for mark in message.url_citation_annotations] == ["https://example.org"]
    assert [mark.file_path.file_id for mark in message.file_path_annotations] == ["assistant-x"]


def test_marks_become_names_links_and_files() -> None:
    mark = "【4:0†source】"
    text = f"Due on Monday{mark}. See{mark} and 【9†x】, or [the table](sandbox:/mnt/data/t.csv)."
    message = answer(
        text,
        cited(mark, text.index(mark), "assistant-a"),
        cited(mark, text.rindex(mark), "assistant-b"),
        page("【9†x】", "https://example.org/a b(1)", "A [page]"),
        made("sandbox:/mnt/data/t.csv", "assistant-t"),
    )
    shown = wire.replace_citations(message, {"assistant-a": "lease.pdf", "assistant-t": "t.csv"})
    assert shown == (
        "Due on Monday[lease.pdf]. See[assistant-b] and [A \\[page\\]](https://example.org/a%20b%281%29), "
        "or [the table](t.csv)."
    )


def test_mark_is_found_where_its_position_does_not_fit() -> None:
    mark = "【4:0†source】"
    message = answer(f"Ä😀 one{mark} two{mark}", cited(mark, 99, "a"), cited(mark, 0, "b"))
    assert wire.replace_citations(message) == "Ä😀 one[a] two[b]"


def test_address_that_could_do_harm_is_no_link() -> None:
    message = answer("x【1†s】", page("【1†s】", "javascript:alert(1)", "t"))
    assert wire.replace_citations(message) == "x[t]"


def test_style_decides_the_text_and_unknown_marks_stay() -> None:
    message = answer(
        "x【1†s】y【2†s】", page("【1†s】", "https://e.org"), {"type": "newer", "text": "【2†s】"}
    )
    assert wire.replace_citations(message) == "x[https://e.org](https://e.org)y【2†s】"
    assert wire.replace_citations(message, style=lambda mark: f"<{mark.type}>") == "x<url_citation>y<newer>"


def test_blocks_are_as_on_the_wire(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    blocks = [
        wire.text_block("What is it?"),
        wire.image_file_block("assistant-1", detail="low"),
        wire.image_url_block("https://example.org/a.png"),
        wire.image_data_block(tmp_path / "a.png"),
    ]
    message = wire.CreateMessageRequest(role="user", content=blocks)
    assert message.to_wire()["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_file", "image_file": {"file_id": "assistant-1", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": url}},
    ]


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"\xff\xd8\xff\xe0", "jpeg"), (b"GIF89a", "gif"), (b"RIFF\n\x00\x00\x00WEBP", "webp"), (PNG, "png")],
)
def test_kind_of_image_is_read_from_its_content(start: bytes, kind: str) -> None:
    assert wire.image_data_url(start).startswith(f"data:image/{kind};base64,")


def test_image_that_is_none_or_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"<svg>")
    with pytest.raises(ValueError, match=r"a\.png is not a PNG"):
        wire.image_data_block(tmp_path / "a.png")
    with pytest.raises(ValueError, match="more than 10 bytes"):
        wire.image_data_block(PNG, max_bytes=10)
    assert wire.image_data_block(PNG, max_bytes=len(PNG))


def test_attachments_name_their_tools() -> None:
    assert wire.attachment("assistant-1", "file_search", "code_interpreter").to_wire() == {
        "file_id": "assistant-1",
        "tools": [{"type": "file_search"}, {"type": "code_interpreter"}],
    }
    assert wire.asset_attachment("azureml://x", "file_search").to_wire() == {
        "data_source": {"uri": "azureml://x", "type": "uri_asset"},
        "tools": [{"type": "file_search"}],
    }
    with pytest.raises(ValueError, match="name the tools"):
        wire.attachment("assistant-1")
