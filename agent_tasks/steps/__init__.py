"""Agents with typed answers, asked durably: what pipelines and Python flows are made of."""

from __future__ import annotations

from agent_tasks.steps.agent import Agent
from agent_tasks.steps.answer_types import AnswerType, answer_type
from agent_tasks.steps.answers import Answer, Exchange, TurnRecord
from agent_tasks.steps.asking import Question, ask
from agent_tasks.steps.hosted import CodeInterpreter, FileSearch
from agent_tasks.steps.patterns import HandedOver, Vote, approve, each, hand_off, parallel, repeat, vote
from agent_tasks.steps.session import AgentMaker, Session, TurnRunner, current_session
from agent_tasks.steps.streams import Stream

__all__ = [
    "Agent",
    "AgentMaker",
    "Answer",
    "AnswerType",
    "CodeInterpreter",
    "Exchange",
    "FileSearch",
    "HandedOver",
    "Question",
    "Session",
    "Stream",
    "TurnRecord",
    "TurnRunner",
    "Vote",
    "answer_type",
    "approve",
    "ask",
    "current_session",
    "each",
    "hand_off",
    "parallel",
    "repeat",
    "vote",
]
