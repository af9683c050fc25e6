"""A workflow with the actions of the recorded one, and the answers of its agents."""

from __future__ import annotations

from tests.emulator.helpers import Json
from tests.emulator.responses.helpers import Wire

V1 = {"api-version": "v1"}
LESSON = """
kind: workflow
trigger:
  kind: OnConversationStart
  id: my_workflow
  actions:
    - kind: SetVariable
      id: set_variable_input_task
      variable: Local.Said
      value: "=UserMessage(System.LastMessageText)"
    - {kind: CreateConversation, id: create_student_conversation, conversationId: Local.StudentRoom}
    - {kind: CreateConversation, id: create_teacher_conversation, conversationId: Local.TeacherRoom}
    - kind: InvokeAzureAgent
      id: student_agent
      conversationId: =Local.StudentRoom
      agent: {name: student}
      input: {messages: =Local.Said}
      output: {messages: Local.Said}
    - kind: InvokeAzureAgent
      id: teacher_agent
      conversationId: =Local.TeacherRoom
      agent: {name: teacher}
      input: {messages: =Local.Said}
      output: {messages: Local.Said}
    - {kind: SendActivity, id: send_teacher_reply, activity: "{Last(Local.Said).Text}"}
    - {kind: SetVariable, id: set_variable_turncount, variable: Local.Turns, value: =Local.Turns + 1}
    - kind: ConditionGroup
      id: completion_check
      conditions:
        - id: check_done
          condition: =!IsBlank(Find("[COMPLETE]", Upper(Last(Local.Said).Text)))
          actions: [{kind: EndConversation, id: end_workflow}]
        - id: check_turns
          condition: =Local.Turns >= 3
          actions: [{kind: SendActivity, id: tired, activity: "Tired after {Local.Turns} turns."}]
      elseActions:
        - {kind: GotoAction, id: again, actionId: student_agent}
"""
ANSWERS: list[Json] = [
    {"when": {"instructions": "student", "message": r"1 \+ 1"}, "reply": {"text": "1 + 1 = 2"}},
    {
        "when": {"instructions": "teacher", "message": "= 2"},
        "reply": {"text": "Correct! 1 + 1 = 2. [COMPLETE]"},
    },
    {"when": {"instructions": "teacher"}, "reply": {"text": "No. Try once more."}},
    {"when": {"instructions": "student"}, "reply": {"text": "I don't know."}},
]


def declare(api: Wire, name: str, yaml: str, *, status: int = 200) -> Json:
    """Create a version of a workflow; returns the answer."""
    body = {"definition": {"kind": "workflow", "workflow": yaml}}
    answer: Json = api.call("POST", f"/agents/{name}/versions", body, status=status, **V1)
    return answer


def lesson(api: Wire, name: str = "student-teacher-workflow") -> Json:
    """Create the workflow and its agents; returns a reference to it."""
    for agent in ("student", "teacher"):
        api.agent(agent, instructions=f"You are the {agent}.")
    declare(api, name, LESSON)
    return {"type": "agent_reference", "name": name}


def actions(*declared: str) -> str:
    """Return a workflow of these actions, each in YAML's flow style."""
    listed = "".join(f"\n    - {action}" for action in declared)
    return f"kind: workflow\ntrigger:\n  kind: OnConversationStart\n  id: trigger\n  actions:{listed}\n"
