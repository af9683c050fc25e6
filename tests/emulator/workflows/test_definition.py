"""What is refused when a version of a workflow is made, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from agents_emulator.workflows.definition import MAX_CHARACTERS, read_workflow
from agents_emulator.workflows.errors import WorkflowError
from tests.emulator.responses.helpers import Wire
from tests.emulator.workflows.teaching import LESSON, V1, actions, declare


def test_a_version_comes_back_as_it_was_declared(api: Wire) -> None:
    made = declare(api, "declared", LESSON)
    assert made["definition"] == {"kind": "workflow", "workflow": LESSON}
    assert (made["id"], made["status"]) == ("declared:1", "active")


@pytest.mark.parametrize(
    ("definition", "param", "said"),
    [
        ({"kind": "workflow"}, "definition.workflow", "required"),
        ({"kind": "workflow", "workflow": "x: ["}, "definition.workflow", "the YAML cannot be read: line 1"),
        ({"kind": "workflow", "workflow": LESSON, "model": "m"}, "definition.model", "Not a field"),
        ({"kind": "hosted", "model": "m"}, "definition.kind", "'prompt' and 'workflow'"),
    ],
)
def test_a_definition_that_cannot_run_is_refused(api: Wire, definition: Any, param: str, said: str) -> None:
    body = {"definition": definition}
    error = api.call("POST", "/agents/refused/versions", body, status=400, **V1)["error"]
    assert error["details"][0]["param"] == param
    assert said in error["details"][0]["message"]


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("[]", "the workflow is no mapping"),
        ("kind: prompt", "its `kind` is not `workflow`"),
        ("kind: workflow\nagents: []", "the workflow has no `agents`"),
        ("kind: workflow\nmaxTurns: no", "`trigger` is no mapping"),
        ("kind: workflow\ntrigger: {kind: OnEvent}", "`trigger.kind` is not `OnConversationStart`"),
        (actions().replace("trigger\n", "trigger\n  x: 1\n"), "`trigger` has no `x`"),
        (
            actions("{kind: HttpRequestAction, id: fetch}"),
            "the action `fetch` is of the kind HttpRequestAction",
        ),
        (actions("{kind: SendActivty, id: a}"), "Did you mean 'SendActivity'?"),
        (actions("{kind: SendActivity, id: a}"), "the action `a` (SendActivity): `activity` is missing"),
        (actions("{kind: SendActivity, id: a, activity: a, x: 1}"), "it has no `x` here"),
        (actions("{kind: SendActivity, id: a, activity: '{Foo(1)}'}"), "the function Foo() is not known"),
        (actions("{kind: SetVariable, id: a, variable: A}"), "'A' is no variable: Local.NAME"),
        (actions("{kind: SetVariable, id: a, variable: System.A}"), "'System.A' is no variable"),
        (actions("{kind: SetVariable, id: a, variable: Local.A, value: =A}"), "a variable is Local.A"),
        (actions("{kind: GotoAction, id: a, actionId: nowhere}"), "leads to `nowhere`, which is none"),
        (actions("{kind: BreakLoop, id: a}"), "`a` (BreakLoop) is in no Foreach"),
        (actions(*["{kind: BreakLoop, id: a, disabled: true}"] * 2, "{kind: If, id: b}"), "`condition` is"),
        (actions(*["{kind: EndWorkflow, id: a}"] * 2), "there are two actions `a`"),
        (actions("{kind: ConditionGroup, id: a, conditions: []}"), "`conditions` is no list"),
        (actions("{kind: ConditionGroup, id: a, conditions: [{id: b}]}"), "condition 1 of `a`"),
        (
            actions("{kind: Question, id: a, variable: Local.A, prompt: a, entity: {kind: X}}"),
            "is not one of",
        ),
        (actions("{kind: InvokeAzureAgent, id: a, agent: {}}"), "`agent`: `name` is missing"),
        (actions("{kind: Foreach, id: a, items: =1, value: Local.A, actions: {}}"), "are no list"),
        (actions(*["{kind: EndWorkflow}"] * 1001), "1000 actions at most"),
        ("a" * (MAX_CHARACTERS + 1), "characters at most"),
        ("".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9 if n else ''}1]\n" for n in range(9)), "20000 parts"),
    ],
)
def test_a_yaml_that_is_wrong_is_refused_in_words(yaml: str, said: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        read_workflow(yaml)
    assert said in str(refused.value)


def test_nested_actions_have_a_bound() -> None:
    yaml = "{kind: EndWorkflow}"
    for _ in range(25):
        yaml = f"{{kind: If, condition: true, then: [{yaml}]}}"
    with pytest.raises(WorkflowError, match="nested 20 times at most"):
        read_workflow(actions(yaml))
