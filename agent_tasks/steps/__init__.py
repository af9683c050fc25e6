"""Agents with typed answers, asked durably: what pipelines and Python flows are made of."""

from __future__ import annotations

from agent_tasks.steps.agent import Agent
from agent_tasks.steps.answer_types import AnswerType, answer_type
from agent_tasks.steps.answers import Answer, Exchange, TurnRecord
from agent_tasks.steps.asking import Question, ask
from agent_tasks.steps.session import AgentMaker, Session, TurnRunner, current_session

__all__ = [
    "Agent",
    "AgentMaker",
    "Answer",
    "AnswerType",
    "Exchange",
    "Question",
    "Session",
    "TurnRecord",
    "TurnRunner",
    "answer_type",
    "ask",
    "current_session",
]
