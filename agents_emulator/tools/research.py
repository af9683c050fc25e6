"""Deep research: a stand-in that plans, searches, looks again and writes a report.

The real tool is a model of its own that searches the web. Here the run's model plans queries, each is
answered from the search folder (see `search`), the model may ask for more once it has seen what there is, and
it writes the report from the passages found. The step says that it is a stand-in; of the definition, nothing
counts. Meanwhile messages of the agent that begin with `cot_summary:`, each a step of its own without tokens,
tell how the research goes on, as the samples and tests of the official client wait for them.

A model that cannot plan (its answer is no JSON of the asked form) gets queries by rule: the question itself,
then its sentences, then their parts between commas, semicolons, colons, "and" and "or"; those with fewer than
two words that carry meaning are left out.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from typing_extensions import override

from agents_emulator.models.base import ChatMessage, ChatRequest, ToolSpec
from agents_emulator.tools.base import (
    CallContext,
    Source,
    ToolCallResult,
    ToolError,
    json_arguments,
    shortened,
    text_argument,
)
from agents_emulator.tools.search import STAND_IN, StandIn

if TYPE_CHECKING:
    from agents_emulator.retrieval import SearchHit

WHAT = "Researches a question in depth and writes a report. Give the user the report, unshortened."
INTERIM = "cot_summary:"
"""How messages begin that tell how the research goes on; the official samples wait for them."""
PLAN_TOKENS = 400
QUERY_CHARACTERS = 300
PLAN = (
    "You plan research. Give the search queries, each about one thing, that together find what is needed to "
    "answer the question."
)
REVIEW = (
    "You review research. Give further search queries for what the findings leave open, none that was asked "
    "already; give no queries if the findings answer the question."
)
REPORT = (
    "You write research reports. Answer the question from the sources alone, in full sentences. Say what the "
    "sources leave open."
)
_PARTS = re.compile(r"[,;:]\s+|\s+(?:and|or)\s+")


class DeepResearch(StandIn):
    """`deep_research`: one function, `deep_research(query)`."""

    type = "deep_research"

    @override
    def specs(self) -> list[ToolSpec]:
        query = {"type": "string", "description": "The question, with all that the research has to know"}
        parameters = {"type": "object", "properties": {"query": query}, "required": ["query"]}
        return [ToolSpec(self.type, WHAT, parameters)]

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        question = text_argument(json_arguments(call), "query", "input", "question")
        limits = self.services.settings.research
        try:
            async with asyncio.timeout(limits.seconds):
                sources = await self._gather(call, question)
                await call.say(f"{INTERIM} I write the report from {len(sources)} passages.", ())
                report = await self._report(call, question, sources)
        except TimeoutError:
            raise ToolError(f"The research took more than {limits.seconds:g} s.") from None
        output = shortened(f"{report}\n\n{_listed(sources)}")
        finished = {**call.body, self.type: {"input": question, "output": output, "stand_in": STAND_IN}}
        return ToolCallResult(output, finished, [finished], sources=sources)

    async def _gather(self, call: CallContext, question: str) -> list[Source]:
        """Plan, search, review and search again; returns what was found, each passage once."""
        limits = self.services.settings.research
        asked: list[str] = []
        found: dict[tuple[str, str], Source] = {}
        for number in range(limits.rounds):
            if number == 0:
                queries = await self._queries(call, PLAN, question) or derived_queries(question)
            else:
                findings = await _within_budget(call, question, list(found.values()))
                known = f"{question}\n\nAsked already: {'; '.join(asked)}\n\nFindings:\n\n{findings}"
                queries = await self._queries(call, REVIEW, known) or []
            queries = [query for query in queries if query not in asked][: limits.queries - len(asked)]
            if not queries:
                break
            await call.say(f"{INTERIM} I look for: {'; '.join(queries)}.", ())
            new: list[Source] = []
            for query in queries:
                for source in await self._search(query):
                    if (source.url, source.text) not in found:
                        found[source.url, source.text] = source
                        new.append(source)
            await call.say(f"{INTERIM} {len(new)} passages that I did not know were found.", new)
            asked += queries
        return list(found.values())

    async def _queries(self, call: CallContext, instructions: str, text: str) -> list[str] | None:
        """Return the queries that the model wants; None if it did not answer in the asked form."""
        most = self.services.settings.research.queries
        items = {"type": "array", "items": {"type": "string"}, "maxItems": most}
        schema = {
            "type": "object",
            "properties": {"queries": items},
            "required": ["queries"],
            "additionalProperties": False,
        }
        answer = await call.ask(
            ChatRequest(
                "",
                (ChatMessage("system", instructions), ChatMessage("user", text)),
                response_schema=schema,
                schema_name="research_plan",
                max_tokens=PLAN_TOKENS,
            )
        )
        try:
            queries = json.loads(answer.text)["queries"]
        except (ValueError, TypeError, KeyError):
            return None
        if not isinstance(queries, list) or not all(isinstance(query, str) for query in queries):
            return None
        kept = (" ".join(query.split())[:QUERY_CHARACTERS] for query in queries)
        return [query for query in dict.fromkeys(kept) if query][:most]

    async def _report(self, call: CallContext, question: str, sources: Sequence[Source]) -> str:
        if not sources:
            return "Nothing about this was found."
        text = await _within_budget(call, question, sources)
        answer = await call.ask(
            ChatRequest(
                "",
                (
                    ChatMessage("system", REPORT),
                    ChatMessage("user", f"Sources:\n\n{text}\n\nQuestion: {question}"),
                ),
                max_tokens=self.services.settings.research.report_tokens,
            )
        )
        if not answer.text.strip():
            raise ToolError("The model wrote no report.")
        return answer.text.strip()


def derived_queries(question: str) -> list[str]:
    """Return queries for a question by the rules of this module: the whole, its sentences, their parts."""
    from agents_emulator.retrieval.words import content_words, sentences

    whole = sentences(question)
    parts = [part for sentence in whole for part in _PARTS.split(sentence)]
    cleaned = [" ".join(text.split()).strip(" ?!.")[:QUERY_CHARACTERS] for text in (question, *whole, *parts)]
    found = list(dict.fromkeys(text for text in cleaned if text))
    return found[:1] + [text for text in found[1:] if len(content_words(text)) > 1]


def _listed(sources: Sequence[Source]) -> str:
    addresses = dict.fromkeys((source.url, source.title) for source in sources)
    return "\n".join(["Sources:", *(f"- {title}: {url}" for url, title in addresses)])


async def _within_budget(call: CallContext, question: str, sources: Sequence[Source]) -> str:
    """Return what the model's context can take of the sources, numbered."""
    kept = await asyncio.to_thread(_selected, sources, question, call.context_tokens) if sources else []
    return "\n\n".join(f"[{number}] {hit.file_name}: {hit.text}" for number, hit in enumerate(kept, 1))


def _selected(sources: Sequence[Source], question: str, max_tokens: int) -> list[SearchHit]:
    from agents_emulator.retrieval import SearchHit, select_passages

    hits = [
        SearchHit(source.url, source.title, source.text, 1.0, number) for number, source in enumerate(sources)
    ]
    return select_passages(hits, question, max_tokens=max_tokens)
