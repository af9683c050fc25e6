"""The examples are what they are said to be, and their right values can be found in the documents."""

from __future__ import annotations

import functools
import importlib.util
import io
import json
import re
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import docx
import pypdfium2
import pytest
from PIL import ImageChops, ImageStat

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.grounding import GroundingStatus, Leaf, SourceText
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentError, EmptyDocumentError
from agent_tasks.evaluation import read_truth
from agent_tasks.pipeline.loader import Pipeline, load_pipeline

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCUMENTS = EXAMPLES / "documents"
TRUTH = read_truth(EXAMPLES / "truth.jsonl")
EXPECTED: dict[str, dict[str, Any]] = {name: right.model_dump() for name, right in TRUTH.items()}
RECOGNISED = sorted(name for name, right in TRUTH.items() if right.may_fail)
READABLE = sorted(name for name, right in TRUTH.items() if right.fields is not None and not right.may_fail)
BROKEN = sorted(name for name, right in TRUTH.items() if right.fails)
SEEN = [*READABLE, *RECOGNISED]
"""What is read where text recognition is installed."""


def load(name: str) -> ModuleType:
    """A script or module of the examples, which are no package."""
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """The example pipeline."""
    return load_pipeline(EXAMPLES / "pipeline.yaml", default_model="any")


def read(name: str) -> DocumentContent:
    """A document; of what is attached to another one the name is that one's, a slash and its own."""
    parent, _, own = name.partition("/")
    content = read_document((DOCUMENTS / parent).read_bytes(), parent)
    if not own:
        return content
    [attached] = [attachment for attachment in content.attachments if attachment.name == own]
    return read_document(attached.content, own)


@functools.cache
def text_of(name: str) -> str:
    return read(name).text


def test_every_document_has_its_right_values_and_every_format_is_there() -> None:
    names = {path.name for path in DOCUMENTS.iterdir()}
    assert names == {name for name in EXPECTED if "/" not in name}
    assert {name for name in EXPECTED if "/" in name} == {
        f"{name}/{attached.name}"
        for name in names - {*BROKEN, *RECOGNISED}
        for attached in read(name).attachments
    }
    kinds = {".txt", ".md", ".html", ".pdf", ".docx", ".xlsx", ".eml"}
    assert {Path(name).suffix for name in READABLE} == kinds
    assert len(READABLE) >= 12


@pytest.mark.parametrize("name", SEEN)
def test_a_document_is_short_enough_for_the_small_model(name: str) -> None:
    assert 60 <= len(text_of(name).split()) <= 220


@pytest.mark.parametrize("name", BROKEN)
def test_the_damaged_documents_cannot_be_read(name: str) -> None:
    with pytest.raises(DocumentError):
        text_of(name)


@pytest.mark.parametrize("name", SEEN)
def test_the_right_values_fit_the_pipeline_and_stand_in_the_document(name: str, pipeline: Pipeline) -> None:
    values, errors = pipeline.output.parse(json.dumps(EXPECTED[name]["fields"]))
    assert errors == []
    assert values is not None
    source = SourceText(text_of(name))
    missing = [
        entry.path
        for entry in source.ground(pipeline.output.leaves(values))
        if entry.status is GroundingStatus.NOT_FOUND
    ]
    assert missing == []


@pytest.mark.parametrize("name", RECOGNISED)
def test_a_scan_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_tasks.documents.readers.pdf.recogniser", lambda: None)
    with pytest.raises(EmptyDocumentError, match=r"pages are pictures.*pip install.*tesseract"):
        read(name)


def test_a_value_from_elsewhere_is_not_in_the_document(pipeline: Pipeline) -> None:
    field = pipeline.output.fields["date"]
    source = SourceText(text_of("invoice-quillfeather-2041.txt"))
    [entry] = source.ground([Leaf("date", field.grounding_kind, date(2025, 1, 1))])
    assert entry.status is GroundingStatus.NOT_FOUND


def test_only_the_trap_among_the_sums_is_wrong() -> None:
    text = text_of("invoice-brightmallow-5510.txt")
    amounts = [float(found) for found in re.findall(r"GBP +([\d.]+)", text)]
    assert sum(amounts[:-1]) == 418.0
    assert amounts[-1] == EXPECTED["invoice-brightmallow-5510.txt"]["fields"]["total"] == 481.0


def test_addresses_are_of_nobody() -> None:
    text = "\n".join(text_of(name) for name in READABLE)
    hosts = re.findall(r"@([\w.-]+\w)", text)
    assert hosts
    assert all(host.endswith("example.com") for host in hosts)


def test_the_binary_documents_are_what_the_script_writes() -> None:
    for name, content in load("make_documents").documents().items():
        committed = (DOCUMENTS / name).read_bytes()
        if name.endswith(".docx"):  # its packing depends on the versions of zlib and python-docx
            assert _cells(committed) == _cells(content)
        if name.endswith((".docx", ".xlsx")):
            assert read_document(committed, name).text == read_document(content, name).text
        elif name in RECOGNISED:  # letters are drawn by Pillow, whose versions may differ a little
            assert _difference(committed, content) < 2
        else:
            assert committed == content


def _cells(content: bytes) -> list[str]:
    document = docx.Document(io.BytesIO(content))
    return [cell.text for table in document.tables for row in table.rows for cell in row.cells]


def _difference(one: bytes, other: bytes) -> float:
    """How much two pages differ to the eye: the mean over pixels of 256 shades."""
    pages = [pypdfium2.PdfDocument(content)[0].render().to_pil().convert("L") for content in (one, other)]
    return float(ImageStat.Stat(ImageChops.difference(*pages)).mean[0])


@pytest.mark.parametrize(
    ("name", "supplier"),
    [
        ("Hexley Electric Supply plc", "HEXLEY"),
        ("HEXLEY", "HEXLEY"),
        ("Sagewerk Immerfall", "IMMER"),
        ("Contractor | Pinnacourt Lift Service AG, Seilgasse 2", "PINNA"),
        ("Tallowmere Joinery Ltd", None),
        ("", None),
    ],
)
def test_suppliers_are_found_by_what_stands_on_paper(name: str, supplier: str | None) -> None:
    tools = load("supplier_tools")
    assert tools.lookup_supplier(name).get("id") == supplier
    check = tools.check_sender(name)
    assert check["approved"] is (supplier is not None)
    assert bool(check["problems"]) is (supplier is None)


def test_the_pipeline_has_its_agents_call_a_function_for_every_document(pipeline: Pipeline) -> None:
    assert list(pipeline.extractor.tools.functions) == ["lookup_supplier"]
    assert pipeline.extractor.section.tool_choice == "lookup_supplier"
    assert pipeline.reviewer is not None
    assert list(pipeline.reviewer.tools.functions) == ["check_sender"]
    assert len(pipeline.questions) == 3
