"""A file with steps: what is checked when it is loaded, and how its mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from agent_tasks.errors import PipelineError
from agent_tasks.pipeline.json_schema import pipeline_schema
from agent_tasks.pipeline.loader import Pipeline, load_pipeline
from agent_tasks.steps.file.graph import to_svg, to_text
from tests.steps.all_kinds import INNER, STEPS

ROOT = Path(__file__).parents[2]

SMALL = """\
name: small
model: m
agents:
  router: {answer: {kind: {type: string, enum: [lease, nda]}}, prompt: "{{ document.text }}"}
  judge: {answer: {ok: boolean, points: {type: integer, list: true}}, prompt: judge}
  author: {prompt: "write"}
steps:
  - agent: router
  - agent: judge
  - {agent: author, id: note}
"""
STEP = "  - {agent: author, id: note}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner.yaml").write_text(INNER)
    (tmp_path / "tools_of_mine.py").write_text(
        "from pydantic import BaseModel\n\n\nclass Model(BaseModel):\n    ok: bool\n\n\n"
        'def add(a: int, b: int) -> int:\n    """Add."""\n    return a + b\n'
    )
    return tmp_path


def load(folder: Path, text: str) -> Pipeline:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return load_pipeline(path)


def test_a_pipeline_with_every_kind_loads(folder: Path) -> None:
    pipeline = load(folder, STEPS)
    assert pipeline.step_names()[:5] == [
        "router", "details", "details/lease/extract", "details/lease/ground", "details/nda/lawyer",
    ]  # fmt: skip
    assert "inner/summer" in pipeline.step_names()
    assert pipeline.columns == ("answer",)
    assert load(folder, STEPS.replace("output: sent\n", "")).columns == ("parties", "total")
    assert load(folder, STEPS.replace("output: sent", "output: details/nda/lawyer")).columns == ("term",)
    with pytest.raises(PipelineError, match="no step 'people/judge' that runs once"):
        load(folder, STEPS.replace("output: sent", "output: people/judge"))
    kinds = {step.kind for step in pipeline.plan.walk()}
    assert kinds >= {"agent", "switch", "extract", "ground", "each", "repeat", "parallel", "vote"}
    assert kinds >= {"hand_off", "pipeline", "review", "approve"}


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("  - agent: router", "  - agent: rooter", 8, "steps[0].agent", "Did you mean 'router'?"),
        ("  - agent: router", "  - agnet: router", 8, "steps[0]", "Did you mean 'agent'? See docs/steps.md"),
        ("steps:", "stesp:", 7, "stesp", "Did you mean 'steps'?"),
        ("  - agent: router", "  - {}", 8, "steps[0]", "it has one of agent, switch"),
        ("  - agent: router", "  - {agent: router, vote: {}}", 8, "steps[0]", "both `agent` and `vote`"),
        ("  - agent: router", "  - {agent: router, promt: x}", 8, "steps[0].promt", "Did you mean 'prompt'?"),
        ("  - agent: judge", "  - agent: router", 9, "steps[1]", "two steps have the name 'router'"),
        ("  - agent: judge", "  - {agent: judge, id: document}", 9, "steps[1]", "means something else"),
        ("  - agent: judge", "  - {agent: judge, follows: note}", 9, "steps[1].follows", "no earlier step"),
        # expressions
        ("id: note", "id: note, when: judge.okay", 10, "steps[2].when", "Did you mean 'ok'?"),
        ("id: note", "id: note, when: jugde.ok", 10, "steps[2].when", "Did you mean 'judge'?"),
        ("id: note", "id: note, when: judge.points", 10, "steps[2].when", "decides nothing"),
        ("id: note", "id: note, when: 'true'", 10, "steps[2].when", "always the same"),
        ("id: note", "id: note, when: router.kind == 'leas'", 10, "steps[2].when", "one of: lease, nda"),
        ("id: note", "id: note, when: router.kind > 3", 10, "steps[2].when", "have no order"),
        ("id: note", "id: note, when: judge.ok.__class__", 10, "steps[2].when", "begin with a letter"),
        ("id: note", "id: note, when: open(judge)", 10, "steps[2].when", "no function"),
        ("id: note", "id: note, when: 'a b'", 10, "steps[2].when", "is no expression"),
        ("  - agent: router", "  - {agent: router, when: judge.ok}", 8, "steps[0].when", "(line 9)"),
        ("  - agent: router", "  - {agent: router, when: router}", 8, "steps[0].when", "(line 8)"),
        # templates
        ("id: note", "id: note, prompt: '{{ router.kin }}'", 10, "steps[2].prompt", "Did you mean 'kind'?"),
        ("prompt: judge", "prompt: '{{ note }}'", 5, "agents.judge.prompt", "runs later (line 10)"),
        ("id: note", "id: note, prompt: '{{ judge.points[0].x }}'", 10, "steps[2].prompt", "no field 'x'"),
        # agents
        ('author: {prompt: "write"}', "author: {}", 10, "steps[2]", "has no prompt"),
        ("steps:", "  idle: {prompt: x}\nsteps:", 7, "agents.idle", "no step asks this agent"),
        ("{ok: boolean, ", "{ok: boolen, ", 5, "agents.judge.answer.ok.type", "Did you mean 'boolean'?"),
        ("prompt: judge", "prompt: '{{ router | jsn }}'", 5, "agents.judge.prompt", "Did you mean 'json'?"),
        ("prompt: judge", "prompt: '{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}'", 5,
         "agents.judge.prompt", "calls itself without end"),
        ("answer: {ok: boolean, points: {type: integer, list: true}}", "answer: 'tools_of_mine:Modle'", 5,
         "agents.judge.answer", "no function Modle"),
        ("answer: {ok: boolean, points: {type: integer, list: true}}", "answer: {schema: none.json}", 5,
         "agents.judge.answer", "none.json cannot be read"),
        ('author: {prompt: "write"}', 'author: {prompt: "write", repair_prompt: "{{ eror }}"}', 6,
         "agents.author.repair_prompt", "Did you mean 'errors'?"),
        ("model: m\n", "", 3, "agents.router.model", "no model deployment"),
        ("name: small", "name: small\noutput: nothing", 2, "output", "no step 'nothing'"),
        # control
        (STEP, "  - {switch: router.kind, cases: {lease: [], will: []}, otherwise: []}\n", 10,
         "steps[2].cases.will", "can never run"),
        (STEP, "  - {switch: router.kind, cases: {lease: []}}\n", 10, "steps[2].cases", "no case for nda"),
        (STEP, "  - {switch: router.kind, cases: {lease: [], nda: []}, otherwise: [{agent: author}]}\n", 10,
         "steps[2].otherwise", "can never run"),
        (STEP, "  - {switch: judge.points, cases: {a: []}}\n", 10, "steps[2].switch", "is no case"),
        (STEP, "  - {each: judge.ok, steps: [{agent: author}]}\n", 10, "steps[2].each", "not a list"),
        (STEP, "  - {each: judge.points, as: judge, steps: [{agent: author}]}\n", 10, "steps[2].as", "taken"),
        (STEP, "  - {each: judge.points, steps: []}\n", 10, "steps[2].steps", "holds no steps"),
        (STEP, "  - {repeat: [{agent: author}], until: judge.ok}\n", 10, "steps[2].until", "same"),
        (STEP, "  - {vote: {agent: judge, by: kind}}\n", 10, "steps[2].vote.by", "no field 'kind'"),
        (STEP, "  - {vote: {agent: judge, agents: [judge, author]}}\n", 10, "steps[2].vote", "of the two"),
        (STEP, "  - {hand_off: {first: author, among: [author]}}\n", 10, "steps[2].hand_off.among", "nobody"),
        (STEP, "  - {parallel: {a: [{agent: author}]}}\n", 10, "steps[2].parallel", "at least 2"),
        (STEP, "  - {pipeline: pipeline.yaml}\n", 10, "steps[2].pipeline", "round in a circle"),
        (STEP, "  - {pipeline: absent.yaml}\n", None, None, "cannot be read"),
        (STEP, "  - {approve: 'Go?', time_limit: 2 moons}\n", 10, "steps[2].time_limit", "30 minutes"),
        (STEP, "  - {approve: 'Go? {{ nobody }}'}\n", 10, "steps[2].approve", "'nobody' is not known"),
        (STEP, "  - {ground: note}\n", 10, "steps[2].ground", "There are: judge, router"),
        (STEP, "  - {extract: author}\n", 10, "steps[2].extract", "answers with no fields"),
        (STEP, "  - {review: judge}\n", 10, "steps[2].review", "an `answer` of its own"),
        # tools
        ('author: {prompt: "write"}', "author: {prompt: w, tools: [{functoin: x}]}", 6,
         "agents.author.tools[0]", "Did you mean 'function'?"),
        ('author: {prompt: "write"}', "author: {prompt: w, tools: [{function: 'a:b'}]}", 6,
         "agents.author.tools[0].function", "a:b"),
        ('author: {prompt: "write"}', "author: {prompt: w, tools: [{mcp: 'https://x.test', label: x, "
         "headers: {Authorization: NOT_SET_AT_ALL}}]}", 6, "agents.author.tools[0].mcp", "NOT_SET_AT_ALL"),
        ('author: {prompt: "write"}', "author: {prompt: w, tools: [{file_search: '*.none'}]}", 6,
         "agents.author.tools[0].file_search", "there is no file"),
        ('author: {prompt: "write"}', "author: {prompt: w, tools: [{file_search: '../*'}]}", 6,
         "agents.author.tools[0].file_search", "leads out"),
        ('author: {prompt: "write"}', "author: {prompt: w, tools: [{connected_agent: author, "
         "description: d}]}",
         6, "agents.author.tools[0].connected_agent", "would ask itself"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_line_field_and_remedy(
    folder: Path, old: str, new: str, line: int | None, field: str | None, words: str
) -> None:
    assert old in SMALL
    with pytest.raises(PipelineError) as caught:
        load(folder, SMALL.replace(old, new))
    problems = caught.value.problems
    found = [one for one in problems if words in str(one)]
    assert found, [str(one) for one in problems]
    if line is not None:
        assert (found[0].line, found[0].field) == (line, field)
    assert found[0].remedy


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  - agent: router", "  - agent: rooter"),
        ("  - agent: router", "  - agnet: router"),
        ("  - agent: router", "  - {agent: router, promt: x}"),
        ("  - agent: router", "  - {agent: router, when: nobody}"),
        ('prompt: "{{ document.text }}"', "prompt: '{{ nobody }}'"),
    ],
)
def test_what_follows_from_a_mistake_is_not_told_besides(folder: Path, old: str, new: str) -> None:
    read = "  - {ground: router}\n  - {agent: note, follows: router, prompt: '{{ router.kind | json }}'}\n"
    text = SMALL.replace("prompt: judge}", "prompt: '{{ router.kind | json }}'}") + read
    text = text.replace("{agent: author, id: note}", "{agent: author, id: first}")
    text = text.replace('author: {prompt: "write"}', 'author: {prompt: "write"}\n  note: {}')
    assert load(folder, text.replace("  - {ground: router}\n", "")).plan.steps
    assert old in text
    with pytest.raises(PipelineError) as caught:
        load(folder, text.replace(old, new))
    told = [str(one) for one in caught.value.problems if "router" not in (one.field or "")]
    told = [one for one in told if "steps[0]" not in one]
    assert told == []


def test_a_value_of_any_type_may_be_written_as_json(folder: Path) -> None:
    (folder / "any.json").write_text('{"type": "object", "properties": {"x": {}}}')
    text = SMALL.replace("{ok: boolean, points: {type: integer, list: true}}", "{schema: any.json}")
    for written in ("{{ judge.x | json }}", "{{ judge.x | tojson }}"):
        load(folder, text.replace("id: note", f"id: note, prompt: '{written}'"))


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        load(folder, SMALL.replace("agent: router", "agent: rooter").replace("agent: judge", "agent: jugde"))
    assert [problem.line for problem in caught.value.problems] == [8, 9]


def test_a_mistake_in_a_file_that_is_a_step_names_that_file(folder: Path) -> None:
    (folder / "inner.yaml").write_text(INNER.replace("document.text", "document.txt"))
    with pytest.raises(PipelineError, match=r"inner.yaml:3: steps\[0\].prompt: .*'text'"):
        load(folder, STEPS)


def test_every_tool_can_stand_in_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "very-secret-value")
    operation = {"get": {"operationId": "weather", "responses": {"200": {"description": "ok"}}}}
    api = {"openapi": "3.0.0", "info": {"title": "t", "version": "1"}, "paths": {"/w": operation}}
    (folder / "api.json").write_text(json.dumps(api))
    (folder / "rules.txt").write_text("Rules.")
    tools = """
    - {function: "tools_of_mine:add", idempotent: true}
    - {file_search: rules.txt, max_num_results: 5}
    - {code_interpreter: [rules.txt]}
    - {openapi: api.json, name: weather}
    - {mcp: "https://mcp.example/", label: docs, headers: {Authorization: A_SECRET}, approve: [search],
       require_approval: {never: [list], always: [search]}}
    - {connected_agent: author, description: Writes.}
    - {logic_app: notify, name: notify, description: Notifies., arguments: "tools_of_mine:Model",
       subscription_id: s, resource_group: g, trigger: t}
    - {azure_ai_search: index, connection: c, top_k: 3}
    - {bing_grounding: c, count: 5}
    - {bing_custom_search: c, instance: i}
    - {fabric: c}
    - {sharepoint: c}
    - {browser_automation: c}
    - {deep_research: o3, connection: c}
"""
    text = SMALL.replace(
        'prompt: "{{ document.text }}"}', f'prompt: "{{{{ document.text }}}}", tools: {_flow(tools)}}}'
    )
    pipeline = load(folder, text)
    (router,) = [agent for agent in pipeline.agents() if agent.key == "router"]
    assert [name.split()[0] for name in router.tool_names()] == [
        "function", "file_search", "code_interpreter", "openapi", "mcp", "connected_agent", "function",
        "azure_ai_search", "bing_grounding", "bing_custom_search", "fabric_dataagent", "sharepoint_grounding",
        "browser_automation", "deep_research",
    ]  # fmt: skip
    assert "very-secret-value" not in json.dumps(router.facts())
    before = router.fingerprint()
    (folder / "rules.txt").write_text("Other rules.")
    (router,) = [agent for agent in load(folder, text).agents() if agent.key == "router"]
    assert router.fingerprint() != before, "the files belong to what an agent is"


def _flow(text: str) -> str:
    return json.dumps(yaml.safe_load(text))


@pytest.mark.parametrize("answer", ["'tools_of_mine:Model'", "{schema: shape.json}", "{ok: boolean}"])
def test_an_answer_is_fields_or_a_schema_or_a_model(folder: Path, answer: str) -> None:
    shape = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    (folder / "shape.json").write_text(json.dumps(shape))
    given = "answer: {ok: boolean, points: {type: integer, list: true}}"
    pipeline = load(
        folder, SMALL.replace(given, f"answer: {answer}").replace("id: note", "id: note, when: judge.ok")
    )
    (judge,) = [agent for agent in pipeline.agents() if agent.key == "judge"]
    value, errors = judge.answer.kind.parse('{"ok": true}')
    assert (judge.answer.as_json(value), errors) == ({"ok": True}, [])
    assert judge.answer.kind.parse('{"ok": "perhaps"}')[1]
    with pytest.raises(PipelineError, match="no field 'yes'"):
        load(
            folder, SMALL.replace(given, f"answer: {answer}").replace("id: note", "id: note, when: judge.yes")
        )


def test_the_picture_shows_every_step_and_no_markup_of_the_file(folder: Path) -> None:
    pipeline = load(folder, STEPS.replace("name: contracts", "name: contracts").replace(
        '"Send {{ document.name }}?"', '"<script>alert(1)</script> & {{ document.name }}"'))  # fmt: skip
    svg, text = to_svg(pipeline.plan, "<b>title</b>"), to_text(pipeline.plan)
    for step in pipeline.plan.walk():
        assert step.id in svg
        assert step.id in text
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "<b>" not in svg


def test_the_schema_for_editors_is_up_to_date() -> None:
    written = json.loads((ROOT / "docs" / "pipeline.schema.json").read_text(encoding="utf-8"))
    assert written == pipeline_schema(), "run: python -m agent_tasks.pipeline.json_schema"


def test_the_schema_for_editors_takes_what_the_loader_takes(folder: Path) -> None:
    validator = jsonschema.Draft202012Validator(pipeline_schema())
    validator.check_schema(pipeline_schema())
    for text in (STEPS, SMALL, INNER, (ROOT / "examples" / "pipeline.yaml").read_text(encoding="utf-8")):
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
    for old, new in (
        ("  - agent: router", "  - agnet: router"),
        ("  - agent: router", "  - {agent: router, promt: x}"),
        ("name: small", "name: Small One"),
        ("id: note", "id: note, when: [1]"),
        ("{ok: boolean, ", "{ok: bool, "),
    ):
        assert list(validator.iter_errors(yaml.safe_load(SMALL.replace(old, new))))
