"""The pipeline file: what it may say, and how its mistakes are told."""

import json
from pathlib import Path

import pytest

from agent_tasks.errors import PipelineError
from agent_tasks.pipeline.loader import Pipeline, load_pipeline
from agent_tasks.tools import QueueFunctionTool
from tests.batch.support import PIPELINE, TOOLS

SMALL = """\
name: small
model: m
agents:
  extractor: {}
output:
  fields:
    total: number
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "paper_tools.py").write_text(TOOLS)
    return tmp_path


def _load(folder: Path, text: str, model: str | None = None) -> Pipeline:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return load_pipeline(path, default_model=model)


def _refused(folder: Path, text: str) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        _load(folder, text)
    return caught.value


def test_defaults_are_enough(folder: Path) -> None:
    pipeline = _load(folder, SMALL)
    assert pipeline.extractor.name == "small-extractor"
    assert pipeline.extractor.model == "m"
    assert (pipeline.reviewer, pipeline.analyst, pipeline.questions) == (None, None, ())
    assert pipeline.limits.repair_turns == 1
    prompt = pipeline.extractor.prompts["prompt"].render(
        {"document": {"name": "a.txt", "text": "Text {{ 7 * 7 }}"}, "fields": pipeline.output.described()}
    )
    assert prompt.startswith("Extract these fields:\n- total (number)")
    assert prompt.endswith("Text {{ 7 * 7 }}")  # a document is never a template


def test_everything_arrives_where_it_belongs(folder: Path) -> None:
    pipeline = _load(folder, PIPELINE + "resources: {on_success: keep, ttl_hours: 2}\n")
    assert list(pipeline.extractor.tools.functions) == ["look_up"]
    assert pipeline.extractor.tools.functions["look_up"].idempotent
    assert pipeline.extractor.tools.functions["look_up"].timeout == 5
    assert pipeline.reviewer is not None
    assert [(question.id, question.text) for question in pipeline.questions] == [("sum", "What is the sum?")]
    assert pipeline.limits.concurrency == 2
    assert pipeline.file.resources.ttl_hours == 2


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("look_up", {"type": "function", "function": {"name": "look_up"}}),
    ],
)
def test_tool_choice(folder: Path, choice: str, wire: object) -> None:
    text = PIPELINE.replace(
        "    instructions: Extract.", f"    instructions: Extract.\n    tool_choice: {choice}"
    )
    assert _load(folder, text).extractor.tool_choice == wire


def test_the_model_of_an_agent_wins_over_the_files_and_that_over_the_environments(folder: Path) -> None:
    own = PIPELINE.replace("    instructions: Review.", "    instructions: Review.\n    model: big")
    pipeline = _load(folder, own, "from-environment")
    assert pipeline.reviewer is not None
    assert (pipeline.extractor.model, pipeline.reviewer.model) == ("test-model", "big")
    assert (
        _load(folder, SMALL.replace("model: m\n", ""), "from-environment").extractor.model
        == "from-environment"
    )
    error = _refused(folder, SMALL.replace("model: m\n", ""))
    assert "MODEL_DEPLOYMENT_NAME" in str(error)


def test_fingerprint_covers_what_a_row_depends_on_and_nothing_else(folder: Path) -> None:
    base = _load(folder, PIPELINE).fingerprint
    assert _load(folder, "# a comment\n" + PIPELINE).fingerprint == base
    for same in (("What is the sum?", "Why?"), ("concurrency: 2", "concurrency: 9"), ("Analyse.", "Think.")):
        assert _load(folder, PIPELINE.replace(*same)).fingerprint == base
    for other in (
        ("Extract.", "Extract it."),
        ("Review.", "Check."),
        ("minimum: 0", "minimum: 1"),
        ("test-model", "other-model"),
        ("name: papers", "name: papers\nrevision: 2"),
    ):
        assert _load(folder, PIPELINE.replace(*other)).fingerprint != base
    (folder / "paper_tools.py").write_text(TOOLS.replace("Look a paper up.", "Look up."))
    assert _load(folder, PIPELINE).fingerprint != base


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("model: m", "modle: m", 2, "modle", "Did you mean 'model'"),
        ("extractor: {}", "extractor: {}\n  reviewr: {}", 5, "agents.reviewr", "Did you mean 'reviewer'"),
        ("extractor: {}", "extractor: {temperature: hot}", 4, "agents.extractor.temperature", "number"),
        (
            "extractor: {}",
            "extractor: {tools: [{functoin: x}]}",
            4,
            "agents.extractor.tools[0].functoin",
            "function",
        ),
        ("extractor: {}", "extractor: {tools: paper_tools}", 4, "agents.extractor.tools", "list"),
        ("extractor: {}", "extractor: []", 4, "agents.extractor", "mapping"),
        ("extractor: {}", "extractor: {instructions: 5}", 4, "agents.extractor.instructions", "quotes"),
        (
            "extractor: {}",
            "extractor: {tools: [{function: 'a:b'}]}",
            4,
            "agents.extractor.tools[0].function",
            "a:b",
        ),
        (
            "extractor: {}",
            "extractor: {tool_choice: look_up}",
            4,
            "agents.extractor.tool_choice",
            "Use one of",
        ),
        (
            "extractor: {}",
            "extractor: {tool_choice: required}",
            4,
            "agents.extractor.tool_choice",
            "no tools",
        ),
        ("name: small", "name: Small One", 1, "name", "pattern"),
        ("total: number", "total: nummer", 7, "output.fields.total.type", "'number'"),
        (
            "total: number",
            "total: {type: number, pattern: x}",
            7,
            "output.fields.total",
            "`pattern` is for string",
        ),
        ("total: number", "total: {minimum: 1}", 7, "output.fields.total", "not for string"),
        ("total: number", "total: {type: object}", 7, "output.fields.total", "`fields`"),
        ("total: number", "total: {type: boolean, ground: exact}", 7, "output.fields.total", "does not fit"),
        ("total: number", "total: {pattern: '(?<=a)b'}", 7, "output.fields.total.pattern", "look-around"),
        (
            "total: number",
            "total: {fields: {a: {typ: date}}}",
            7,
            "output.fields.total.fields.a.typ",
            "'type'",
        ),
        ("total: number", "'2 b': number", 7, "output.fields.2 b", "pattern"),
        ("total: number", "total: number\nquestions: [Why]", 8, "questions", "agents.analyst"),
        ("total: number", "total: number\nlimits: {repair_turns: 9}", 8, "limits.repair_turns", "less than"),
        ("total: number", "total: number\nlimits: {concurrency: yes}", 8, "limits.concurrency", "a number"),
        (
            "total: number",
            "total: number\n    total: date",
            8,
            "output.fields.total",
            "twice (first on line 7)",
        ),
    ],
)
def test_a_mistake_is_told_with_line_field_and_remedy(
    folder: Path, old: str, new: str, line: int, field: str, words: str
) -> None:
    error = _refused(folder, SMALL.replace(old, new))
    assert (error.line, error.field) == (line, field)
    assert words in str(error)
    assert str(error).startswith(f"{folder}/pipeline.yaml:{line}: {field}: ")
    assert error.remedy


@pytest.mark.parametrize(
    ("prompt", "line", "words"),
    [
        ("|\n      One\n      {{ document.txt }}", 6, "'document.txt' is not known"),
        ("|\n      One\n      {% for x in y %}\n", 6, "template error"),
        ('"{{ question }}"', 4, "'question' is not known"),
        ('"{{ document.text | shout }}"', 4, "shout"),
        ('"{{ fields[0].nmae }}"', 4, "nmae"),
        ('"{{ ().__class__.__bases__ }}"', 4, "unsafe"),
        ('"{# nothing #}"', 4, "empty"),
    ],
)
def test_template_mistakes_are_found_before_anything_is_paid_for(
    folder: Path, prompt: str, line: int, words: str
) -> None:
    text = SMALL.replace("  extractor: {}\n", f"  extractor: {{prompt: {prompt}}}\n")
    if prompt.startswith("|"):
        text = SMALL.replace("  extractor: {}\n", f"  extractor:\n    prompt: {prompt}\n")
        line += 1
    error = _refused(folder, text)
    assert words in str(error)
    assert error.line == line
    assert error.field == "agents.extractor.prompt"


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(folder: Path) -> None:
    error = _refused(folder, SMALL.replace("model: m", "modle: m").replace("number", "nummer"))
    first, second = str(error).splitlines()
    assert "modle" in first
    assert "nummer" not in first
    assert ":7: output.fields.total.type" in second


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "not a mapping"),
        ("- a", 1, "not a mapping"),
        ("name: a\nmodel: b: c\n", 2, "not valid YAML"),
        ("name: a\n\tmodel: b\n", 2, "not valid YAML"),
        ("name: [a\n", 2, "not valid YAML"),
        ("name: a\n1: b\n", 2, "not text: 1"),
        ("name: a\nx: 2026-02-30\n", 1, "impossible value"),
        ("name: a\nx: \x07\n", 2, "does not allow: #x0007"),
        ("name: a\nx: &x [*x]\n", 2, "aliases"),
        ("<<: {name: a}\n", 1, "not a known setting"),
    ],
)
def test_what_is_not_a_yaml_mapping_is_told_too(folder: Path, text: str, line: int, words: str) -> None:
    error = _refused(folder, text)
    assert words in str(error)
    assert error.line == line


def test_a_small_file_cannot_grow_without_end(folder: Path) -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    assert "aliases" in str(_refused(folder, "a0: &a0 [x]\n" + levels))


def test_a_missing_or_binary_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="cannot be read"):
        load_pipeline(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PipelineError, match="UTF-8"):
        load_pipeline(tmp_path / "binary.yaml")


QUEUE_TOOLS = """\
name: papers
model: test-model
queue_tools: {definitions: tools.json%s}
agents: {extractor: {tools: [%s]}}
output: {fields: {number: string}}
"""


@pytest.mark.parametrize(
    ("section", "entry", "said"),
    [
        ("", "{queue: guess}", "tools.json has no guess; it has: look_up"),
        ("", "{queue: look_up, name: other}", "a queue tool has its name and its policy from its definition"),
        ("", "{queue: look_up, function: 'a:b'}", "names a `function` or a `queue`, one of the two"),
        ("", "{timeout: 3}", "names a `function` or a `queue`, one of the two"),
        (", connection: NOWHERE", "{queue: look_up}", "The connection NOWHERE is not set"),
        (", drive: nobody", "{queue: look_up}", "input should be 'pipeline' or 'service'"),
    ],
)
def test_mistakes_with_queue_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, entry: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORAGE__queueServiceUri", "https://account.queue.core.windows.net")
    definition = {"name": "look_up", "description": "d", "parameters": {}}
    queues = {"input_queue": "look-up-input", "output_queue": "look-up-output"}
    (tmp_path / "tools.json").write_text(json.dumps([definition | queues]))
    (tmp_path / "p.yaml").write_text(QUEUE_TOOLS % (section, entry))
    with pytest.raises(PipelineError) as caught:
        load_pipeline(tmp_path / "p.yaml")
    assert said in str(caught.value)
    assert caught.value.line


def test_queue_tools_without_their_section(tmp_path: Path) -> None:
    text = QUEUE_TOOLS.replace("queue_tools: {definitions: tools.json%s}\n", "") % "{queue: look_up}"
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(PipelineError, match="there are no queue tools: add `queue_tools`"):
        load_pipeline(tmp_path / "p.yaml")


def test_a_queue_tools_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE__queueServiceUri", "https://account.queue.core.windows.net")
    definition = {"name": "look_up", "description": "d", "parameters": {}}
    queues = {"input_queue": "look-up-input", "output_queue": "look-up-output"}
    (tmp_path / "tools.json").write_text(json.dumps([definition | queues]))
    section = ", deadline: 40, container: values-1, idempotent: false"
    (tmp_path / "p.yaml").write_text(QUEUE_TOOLS % (section, "{queue: look_up, max_output_chars: 9}"))
    tool = load_pipeline(tmp_path / "p.yaml").extractor.tools.functions["look_up"]
    assert isinstance(tool, QueueFunctionTool)
    assert (tool.deadline, tool.container, tool.idempotent, tool.max_output_chars) == (
        40,
        "values-1",
        False,
        9,
    )
    (tmp_path / "p.yaml").write_text(QUEUE_TOOLS % (section, "{queue: look_up, timeout: 5}"))
    quick = load_pipeline(tmp_path / "p.yaml").extractor.tools.functions["look_up"]
    assert isinstance(quick, QueueFunctionTool)
    assert quick.deadline == 5
