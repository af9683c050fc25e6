"""Responses of workflows: their items and events, what their agents are told, questions, and their bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.emulator.helpers import Json, wait_for
from tests.emulator.responses.helpers import RULES, Wire, names, text_of, wire
from tests.emulator.workflows.teaching import V1, actions, declare, lesson
from tests.support.service import start_in_thread, write_rules

# Of the recorded response: kind, id, parent and the action before it.
RECORDED = [
    ("SetVariable", "set_variable_input_task", "my_workflow", "my_workflow"),
    ("CreateConversation", "create_student_conversation", "my_workflow", "set_variable_input_task"),
    ("CreateConversation", "create_teacher_conversation", "my_workflow", "create_student_conversation"),
    ("InvokeAzureAgent", "student_agent", "my_workflow", "create_teacher_conversation"),
    ("InvokeAzureAgent", "teacher_agent", "my_workflow", "student_agent_Post"),
    ("SendActivity", "send_teacher_reply", "my_workflow", "teacher_agent_Post"),
    ("SetVariable", "set_variable_turncount", "my_workflow", "send_teacher_reply"),
    ("EndConversation", "end_workflow", "check_doneActions", "check_doneActions"),
]
_BRACKET = ["response.output_item.added", "response.output_item.done"]
_MESSAGE = [
    *("response.output_item.added", "response.content_part.added", "response.output_text.delta"),
    *("response.output_text.done", "response.content_part.done", "response.output_item.done"),
]


def run(api: Wire, yaml: str, said: Any = "Hello.", *, name: str = "flow", **fields: Any) -> Json:
    """Ask a workflow of these actions, in a conversation of its own unless one is given."""
    declare(api, name, yaml)
    reference = {"type": "agent_reference", "name": name}
    if "previous_response_id" not in fields:
        fields.setdefault("conversation", api.conversation())
    return api.respond(agent_reference=reference, input=said, **fields)


def texts(response: Json) -> list[str]:
    return [item["content"][0]["text"] for item in response["output"] if item["type"] == "message"]


def kinds(response: Json) -> list[str]:
    return [item.get("kind", "message") for item in response["output"]]


def failure(response: Json) -> str:
    assert response["status"] == "failed"
    assert response["error"]["code"] == "workflow_failed"
    said: str = response["error"]["message"]
    return said


def test_items_and_events_are_those_of_the_recorded_response(api: Wire) -> None:
    reference, conversation = lesson(api), api.conversation()
    events = api.stream(agent_reference=reference, conversation=conversation, input="1 + 1 = ?")
    assert events[0][1]["sequence_number"] == 1
    assert names(events) == [
        *("response.created", "response.in_progress", *_BRACKET * 5),
        *("response.output_item.added", *_MESSAGE, "response.output_item.done"),
        *(*_BRACKET * 2, "response.completed"),
    ]
    response = events[-1][1]["response"]
    told = [item for item in response["output"] if item["type"] == "workflow_action"]
    fields = ("kind", "action_id", "parent_action_id", "previous_action_id")
    assert [tuple(item[name] for name in fields) for item in told] == RECORDED
    assert {item["status"] for item in response["output"]} == {"completed"}
    assert text_of(response) == "Correct! 1 + 1 = 2. [COMPLETE]"
    assert response["usage"]["total_tokens"] == 0
    shown = api.get(response["id"])
    assert shown["output"] == response["output"]
    assert [item["type"] for item in api.items(conversation)] == [
        *("message", *["workflow_action"] * 6, "message", *["workflow_action"] * 2)
    ]


def test_a_loop_goes_on_until_its_condition_holds(api: Wire) -> None:
    response = api.respond(agent_reference=lesson(api), conversation=api.conversation(), input="What?")
    assert texts(response) == ["No. Try once more."] * 3 + ["Tired after 3 turns."]
    assert kinds(response).count("GotoAction") == 2


def test_its_agents_have_conversations_of_their_own(api: Wire) -> None:
    before = {one["id"] for one in api.call("GET", "/openai/v1/conversations", limit=100)["data"]}
    own = api.conversation()
    api.respond(agent_reference=lesson(api), conversation=own, input="1 + 1 = ?")
    made = [one["id"] for one in api.call("GET", "/openai/v1/conversations", limit=100)["data"]]
    rooms = [identifier for identifier in made if identifier not in {*before, own}]
    said = [[(i["role"], i["content"][0]["text"]) for i in api.items(room)] for room in reversed(rooms)]
    assert said == [
        [("user", "1 + 1 = ?"), ("assistant", "1 + 1 = 2")],
        [("user", "1 + 1 = 2"), ("assistant", "Correct! 1 + 1 = 2. [COMPLETE]")],
    ]


def test_an_agent_in_the_own_conversation_answers_there(api: Wire) -> None:
    api.agent("echo")
    yaml = actions(
        "{kind: InvokeAzureAgent, id: a, conversationId: =System.ConversationId, agent: {name: echo}}",
        "{kind: InvokeAzureAgent, id: b, conversationId: =System.ConversationId, agent: {name: echo},"
        " input: {messages: '=UserMessage(\"again\")'}, output: {autoSend: false, messages: Local.B}}",
        "{kind: SendActivity, activity: '{CountRows(Local.B)} {First(Local.B).Text}'}",
    )
    conversation = api.conversation()
    response = run(api, yaml, "Hello.", conversation=conversation)
    assert texts(response) == ["You said Hello..", "You said again.", "1 You said again."]
    again = run(api, yaml, "Once more.", conversation=conversation)
    assert texts(again)[0] == "You said Once more.."


@pytest.mark.parametrize(("auto_send", "count"), [("", 0), ("autoSend: true", 1), ("autoSend: =1 > 2", 0)])
def test_what_an_agent_says_elsewhere_is_sent_where_the_action_says_so(
    api: Wire, auto_send: str, count: int
) -> None:
    api.agent("echo")
    action = "{kind: InvokeAzureAgent, id: a, agent: {name: echo}, input: {messages: =System.LastMessage}"
    response = run(api, actions(f"{action}, output: {{{auto_send}}}}}"))
    assert len(texts(response)) == count


def test_an_agent_has_its_arguments_and_its_answer_is_an_object(api: Wire) -> None:
    inputs = {"topic": {"description": "of it", "required": True}}
    api.agent("filled", instructions="who {{topic}}", structured_inputs=inputs)
    yaml = actions(
        "{kind: InvokeAzureAgent, id: a, agent: {name: filled, version: '1'}, input: {messages: who,"
        ' arguments: {topic: =Upper("trees")}}, output: {messages: Local.M, responseObject: Local.None}}',
        "{kind: InvokeAzureAgent, id: b, agent: {name: filled}, input: {messages: json,"
        " arguments: {topic: x}}, output: {responseObject: Local.O}}",
        "{kind: SendActivity, activity: '{MessageText(Local.M)} {Local.O.total + 1} {IsBlank(Local.None)}'}",
    )
    assert texts(run(api, yaml)) == ["who TREES 4 True"]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("agent: {name: nobody}, input: {messages: a}", "the agent `nobody`: Agent not found"),
        ("agent: {name: flow}, input: {messages: a}", "the agent `flow` is a workflow"),
        ("agent: {name: caller}, input: {messages: weather}", "the agent `caller` calls a function"),
        ("agent: {name: echo}", "there is nothing to answer"),
        ("agent: {name: echo}, input: {arguments: {x: 1}, messages: a}", "no structured input 'x'"),
        ("agent: {name: echo}, conversationId: conv_x, input: {messages: a}", "there is no conversation"),
    ],
)
def test_an_agent_that_cannot_be_asked_fails_the_response(api: Wire, action: str, said: str) -> None:
    api.agent("echo")
    api.agent("caller", tools=[{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}])
    response = run(api, actions(f"{{kind: InvokeAzureAgent, id: asks, {action}}}"))
    assert "The action `asks` (InvokeAzureAgent) failed: " in failure(response)
    assert said in failure(response)
    assert [item["status"] for item in response["output"]] == ["failed"]


def test_variables_loops_and_messages(api: Wire) -> None:
    yaml = actions(
        "{kind: SetMultipleVariables, assignments: [{variable: Local.A, value: 1}, {variable: Global.B,"
        " value: {c: =Local.A}}]}",
        '{kind: Foreach, id: each, items: \'=["x", "y", "z"]\', value: Local.V, index: Local.I, actions: ['
        '{kind: If, condition: =Local.V = "x", then: [{kind: ContinueLoop}]},'
        "{kind: SendActivity, activity: '{Local.I}{Local.V}'},"
        '{kind: If, condition: =Local.V = "y", then: [{kind: BreakLoop}], else: [{kind: EndWorkflow}]}]}',
        "{kind: ParseValue, variable: Local.P, value: '[1, {\"a\": 2}]', valueType: Table}",
        "{kind: SetTextVariable, variable: Local.T, value: '{Global.B.c} {CountRows(Local.P)}'}",
        "{kind: ResetVariable, variable: Local.A}",
        "{kind: SendActivity, activity: {text: '{Local.T}|{Local.A}|{IsBlank(Local.V)}'}}",
        "{kind: ClearAllVariables}",
        "{kind: SendActivity, activity: {Len(Local.T)}}",
        "{kind: EndConversation}",
        "{kind: SendActivity, activity: never}",
    )
    assert texts(run(api, yaml)) == ["1y", "1 2||False", "0"]


def test_messages_of_conversations(api: Wire) -> None:
    yaml = actions(
        "{kind: CreateConversation, conversationId: Local.C}",
        "{kind: AddConversationMessage, conversationId: =Local.C, message: Local.M, role: Agent,"
        " content: [{type: Text, value: 'Kept: {System.LastMessage.Text}'}]}",
        "{kind: CopyConversationMessages, conversationId: =System.ConversationId, messages: '=[Local.M]'}",
        "{kind: RetrieveConversationMessage, conversationId: =Local.C, messageId: =Local.M.Id,"
        " message: Local.One}",
        "{kind: RetrieveConversationMessages, conversationId: =System.ConversationId, messages: Local.All}",
        "{kind: SendActivity, activity: '{Local.One.Text} ({Local.One.Role}), {CountRows(Local.All)}'}",
    )
    assert texts(run(api, yaml)) == ["Kept: Hello. (assistant), 2"]


QUESTION = actions(
    "{kind: SetVariable, variable: Local.Asked, value: =System.LastMessageText}",
    "{kind: Question, id: how_many, variable: Local.N, prompt: {kind: Message, text: ['How many?']},"
    " entity: {kind: NumberPrebuiltEntity}, invalidPrompt: A number., repeatCount: 2, defaultValue: 7}",
    "{kind: SendActivity, id: said, activity: '{Local.Asked}: {Local.N * 2}'}",
)


def test_a_question_ends_the_response_and_the_next_one_answers_it(api: Wire) -> None:
    conversation = api.conversation()
    asked = run(api, QUESTION, "Pears", conversation=conversation)
    assert (asked["status"], texts(asked)) == ("completed", ["How many?"])
    assert kinds(asked) == ["SetVariable", "Question", "message"]
    reference = asked["agent_reference"]
    answered = api.respond(agent_reference=reference, conversation=conversation, input="21")
    assert texts(answered) == ["Pears: 42"]
    assert [item.get("previous_action_id") for item in answered["output"]][1] == "how_many_Post"
    afresh = api.respond(agent_reference=reference, conversation=conversation, input="Plums")
    assert texts(afresh) == ["How many?"]


def test_an_answer_that_is_none_is_asked_for_again_and_then_has_its_default(api: Wire) -> None:
    asked = run(api, QUESTION, "Pears", name="patient", previous_response_id=None)
    reference = asked["agent_reference"]
    again = api.respond(agent_reference=reference, previous_response_id=asked["id"], input="many")
    assert texts(again) == ["A number.", "How many?"]
    given_up = api.respond(agent_reference=reference, previous_response_id=again["id"], input="lots")
    assert texts(given_up) == ["A number.", "Pears: 14"]


def test_another_version_of_a_workflow_begins_anew(api: Wire) -> None:
    conversation = api.conversation()
    run(api, QUESTION, "Pears", name="changed", conversation=conversation)
    other = run(api, QUESTION, "21", name="changed", conversation=conversation)
    assert texts(other) == ["How many?"]


def test_an_agent_talks_with_the_user_until_a_condition_no_longer_holds(api: Wire) -> None:
    api.agent("echo")
    yaml = actions(
        "{kind: InvokeAzureAgent, id: talk, conversationId: =System.ConversationId, agent: {name: echo},"
        " input: {externalLoop: {when: '=Upper(System.LastMessage.Text) <> \"EXIT\"'}}}",
        "{kind: RequestExternalInput, variable: Local.More, prompt: 'More?'}",
        "{kind: SendActivity, activity: 'Done: {MessageText(Local.More)}'}",
    )
    conversation = api.conversation()
    first = run(api, yaml, "Hello.", conversation=conversation)
    assert texts(first) == ["You said Hello.."]
    said = [
        texts(api.respond(agent_reference=first["agent_reference"], conversation=conversation, input=text))
        for text in ("And now?", "exit", "Nothing.")
    ]
    assert said == [["You said And now?."], ["You said exit.", "More?"], ["Done: Nothing."]]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (["{kind: SetVariable, id: a, variable: Local.A}", "{kind: GotoAction, actionId: a}"], "500 steps"),
        (
            ["{kind: SetVariable, id: a, variable: Local.A, value: =1 / 0}"],
            "`a` (SetVariable) failed: a division",
        ),
        (["{kind: SendActivity, id: a, activity: '{Local.A + \"x\"}'}"], "the text 'x' is no number"),
        (
            [
                "{kind: SetVariable, id: a, variable: Local.A, value: '=[Local.A, Local.A]'}",
                "{kind: GotoAction, actionId: a}",
            ],
            "`a` (SetVariable) failed: ",
        ),
        (
            [
                "{kind: SetVariable, variable: Local.A, value: '=Left(Local.A & \"ab\" & Local.A, 900000)'}",
                "{kind: SetVariable, id: a, variable: Local.A, value: '=Local.A & Local.A & \"ab\"'}",
                "{kind: GotoAction, actionId: a}",
            ],
            "a text of more than",
        ),
    ],
)
def test_what_goes_too_far_fails_with_words(api: Wire, declared: list[str], said: str) -> None:
    assert said in failure(run(api, actions(*declared)))


def test_the_yaml_may_say_how_many_steps_there_are(api: Wire) -> None:
    yaml = actions("{kind: SetVariable, id: a, variable: Local.A}", "{kind: GotoAction, actionId: a}")
    assert "has taken 5 steps" in failure(run(api, f"maxTurns: 5\n{yaml}"))


def test_in_the_background_it_is_followed_resumed_and_cancelled(api: Wire) -> None:
    reference = lesson(api)
    events = api.stream(agent_reference=reference, input="1 + 1 = ?", background=True, store=True)
    response = events[-1][1]["response"]
    assert events[0][1]["response"]["status"] == "queued"
    path = f"/openai/v1/responses/{response['id']}"
    again = api.stream("GET", path, stream="true")
    assert again == events
    rest = api.stream("GET", path, stream="true", starting_after=20)
    assert [body["sequence_number"] for _, body in rest] == list(range(21, len(events) + 1))
    slow = actions("{kind: InvokeAzureAgent, id: a, agent: {name: slow}, input: {messages: endless}}")
    api.agent("slow")
    running = run(api, slow, background=True, name="slow-flow")
    wait_for(lambda: api.get(running["id"])["output"])
    assert api.call("POST", f"/openai/v1/responses/{running['id']}/cancel")["status"] == "cancelled"


def test_a_restarted_service_goes_on_and_asks_no_agent_twice(tmp_path: Any) -> None:
    rules = write_rules(tmp_path, RULES)
    yaml = actions(
        "{kind: SendActivity, activity: First.}",
        "{kind: InvokeAzureAgent, id: a, agent: {name: echo}, input: {messages: slow},"
        " output: {autoSend: true}}",
        "{kind: SendActivity, activity: Last.}",
    )
    running = start_in_thread(tmp_path / "data", rules)
    with wire(running) as api:
        api.agent("echo")
        begun = run(api, yaml, background=True)
        wait_for(lambda: len(api.get(begun["id"])["output"]) == 3)
    running.stop()
    running = start_in_thread(tmp_path / "data", rules)
    with wire(running) as api:
        ended = api.ended(begun["id"])
        assert (ended["status"], texts(ended)) == ("completed", ["First.", "At last.", "Last."])
        assert kinds(ended).count("InvokeAzureAgent") == 1
        asked = api.http.get(f"{running.origin}/_emulator/generations").json()["data"]
        assert [one["outcome"] for one in asked] == ["interrupted", "stop"]
    running.stop()


def test_the_workflow_of_the_docs_runs(api: Wire) -> None:
    page = (Path(__file__).parents[3] / "docs" / "local-service.md").read_text(encoding="utf-8")
    yaml = page.partition("## Workflows")[2].partition("```yaml\n")[2].partition("```")[0]
    api.agent("clerk")
    assert texts(run(api, yaml, "A letter")) == ["You said A letter.", "There is no total in A letter."]
    assert texts(run(api, yaml, "Total: 3")) == ["You said Total: 3."]


def test_lists_pick_workflows_by_their_kind(api: Wire) -> None:
    lesson(api, "picked")
    found = api.call("GET", "/agents", kind="workflow", limit=100, **V1)["data"]
    assert "picked" in [agent["name"] for agent in found]
    assert {agent["versions"]["latest"]["definition"]["kind"] for agent in found} == {"workflow"}
