"""A pipeline with every kind of step, and the scripted model that plays its agents."""

from __future__ import annotations

from typing import Any

STEPS = """\
name: contracts
description: Every kind of step.
model: test-model
agents:
  router:
    prompt: "Route this: {{ document.text }}"
    answer: {kind: {type: string, enum: [lease, nda]}}
  lessor:
    prompt: "Read the lease: {{ document.text }}"
    answer: {parties: {type: string, list: true, ground: exact}, total: number}
  lawyer: {prompt: "Read the nda: {{ document.text }}", answer: {term: integer}}
  judge: {answer: {fair: boolean}}
  author: {}
  critic: {answer: {approved: boolean, problem: {type: string, optional: true}}}
  checker: {}
  triage: {}
  billing: {}
steps:
  - agent: router
  - id: details
    switch: router.kind
    cases:
      lease: [{extract: lessor}]
      nda: [{agent: lawyer}]
  - ground: facts
    when: details.case == "lease"
    id: found
  - id: people
    each: details.extract.parties
    as: party
    steps: [{agent: judge, prompt: "Is {{ party }} fair?"}]
  - id: draft
    repeat:
      - agent: author
        follows: author
        prompt: "Write. {% if critic %}Mind: {{ critic.problem }}{% endif %}"
      - {agent: critic, prompt: "Criticise: {{ author }}"}
    until: critic.approved
    at_most: 3
  - id: side
    parallel:
      left: [{id: one, agent: author, prompt: "Left of {{ document.name }}."}]
      right: [{id: two, agent: author, prompt: "Right of {{ document.name }}."}]
  - id: verdict
    vote: {agent: judge, samples: 3, by: fair}
    prompt: "Vote on {{ draft.author }}"
  - id: desk
    hand_off: {first: triage, among: {billing: "money"}}
    prompt: "Whose is {{ document.name }}?"
  - id: inner
    pipeline: inner.yaml
    text: "{{ draft.author }}"
  - review: checker
    prompt: "Review {{ draft.author }}"
  - id: release
    approve: "Send {{ document.name }}?"
    show: "{{ draft.author }}"
  - id: sent
    agent: author
    prompt: "Send it. {{ release.note }}"
    when: verdict.value and release.approved
output: sent
limits: {concurrency: 2}
"""
STEPS = STEPS.replace(
    """  - ground: facts
    when: details.case == "lease"
    id: found
""",
    "",
).replace("lease: [{extract: lessor}]", "lease: [{extract: lessor}, {ground: extract}]")

INNER = """\
name: inner
agents: {summer: {answer: {words: integer}}}
steps: [{agent: summer, prompt: "Count: {{ document.text }}"}]
"""

TURNS = 2 + 2 + 4 + 2 + 3 + 2 + 1 + 1
"""Turns until a person is asked: route, extract; two parties; two rounds of two; two sides; three votes;
two of the hand-off; the inner pipeline; the review."""


def _json(schema: str, value: dict[str, Any], message: str = "") -> dict[str, Any]:
    when = {"schema": schema, **({"message": message} if message else {})}
    return {"when": when, "reply": {"json": value}}


def _text(message: str, text: str) -> dict[str, Any]:
    return {"when": {"message": message}, "reply": {"text": text}}


RULES: dict[str, Any] = {
    "rules": [
        _json("router", {"kind": "nda"}, "secret"),
        _json("router", {"kind": "lease"}),
        _json("lessor", {"parties": ["Ann", "Bob"], "total": 12.5}),
        _json("lawyer", {"term": 5}),
        _json("judge", {"fair": False}, "Is Bob"),
        _json("judge", {"fair": True}),
        _json("critic", {"approved": True, "problem": None}, "better"),
        _json("critic", {"approved": False, "problem": "too short"}),
        _json("triage_or_hand_off", {"answer": None, "hand_off_to": "billing"}),
        _json("billing_or_hand_off", {"answer": "It is mine.", "hand_off_to": None}),
        _json("summer", {"words": 3}),
        _json("review", {"approved": True, "problems": []}),
        _text("Mind: too short", "A better draft."),
        _text("^Write", "A draft."),
        _text("^Left", "On the left."),
        _text("^Right", "On the right."),
        _text("^Send it", "It is sent."),
    ],
    "default": {"reply": {"text": "I do not know."}},
}

LEASE = "A lease between Ann and Bob over 12.5 a month."
