"""The plan of a file without `steps`: extract, ground, review, as these files have always been carried out.

Names of turns, agents and prompts are those of earlier versions: what their journals hold is found again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.pipeline.pipelines import AgentPlan
from agent_tasks.pipeline.prompts import Prompt
from agent_tasks.pipeline.schema import PipelineFile
from agent_tasks.steps.answer_types import answer_type
from agent_tasks.steps.file.agents import TEXT_ANSWER, AgentEntry, AnswerPlan, FileAgent
from agent_tasks.steps.file.kinds.extract import ExtractStep
from agent_tasks.steps.file.kinds.ground import GROUNDED, GroundStep
from agent_tasks.steps.file.kinds.review import VERDICT, ReviewStep
from agent_tasks.steps.file.plan import Plan, Step, StepHead
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.file.types import of_fields

EXTRACT, GROUND, REVIEW = "extract", "ground", "review"


def short_plan(
    file: PipelineFile, output: OutputSchema, extractor: AgentPlan, reviewer: AgentPlan | None
) -> Plan:
    """The steps that a file without `steps` stands for.

    Args:
        file: The file.
        output: What the extractor returns.
        extractor: Its agent.
        reviewer: The agent that checks; None: nobody does.
    """
    answer = AnswerPlan(answer_type(output), of_fields(output.fields), None, output)
    agent = _agent(extractor, output, file.limits.repair_turns, answer)
    steps: list[Step] = [
        ExtractStep(
            head=_head(EXTRACT),
            type=answer.type,
            agent=agent,
            prompt=_template(extractor.prompts.get("prompt")),
            repair_step="repair{part}-{n}",
            read=file.agents.extractor.read,
            vision=file.agents.extractor.vision,
            repair=extractor.prompts.get("repair_prompt"),
        ),
        GroundStep(head=_head(GROUND), type=GROUNDED, of=EXTRACT, fields=output),
    ]
    if reviewer is not None:
        steps.append(
            ReviewStep(
                head=_head(REVIEW),
                type=VERDICT.or_null(),
                agent=_agent(reviewer, output, 0),
                prompt=_template(reviewer.prompts.get("prompt")),
                repairs=False,
                named=_names_of_a_review,
                read=file.agents.extractor.read,
                fields=output,
            )
        )
    return Plan(tuple(steps), frozenset({EXTRACT}))


def _head(name: str) -> StepHead:
    return StepHead(name, (name,), 0)


def _template(prompt: Prompt | None) -> Template:
    return Template(prompt or Prompt.parse("", frozenset()), frozenset(), as_python=True)


def _agent(
    plan: AgentPlan, output: OutputSchema, repair_turns: int, answer: AnswerPlan = TEXT_ANSWER
) -> FileAgent:
    section = plan.section
    entry = AgentEntry(
        model=plan.model or None,
        instructions=section.instructions,
        strict=output.strict,
        repair_turns=repair_turns,
        tool_choice=section.tool_choice,
        temperature=section.temperature,
        top_p=section.top_p,
        max_completion_tokens=section.max_completion_tokens,
    )
    return FileAgent(plan.role, plan.name, plan.model, entry, answer, plan.tools)


def _names_of_a_review(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**values, "extraction": values[EXTRACT], "not_found": values[GROUND]["not_found"]}
