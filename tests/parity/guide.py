"""The counterparts of the guide's programs (`examples/guide`): the same job by agents and durable turns.

Those programs use the client of the classic service, so none of them runs on the successor as it is. What is
asked of each counterpart is what the program prints; its model says what that one's says.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prefect import flow
from pydantic import BaseModel, SecretStr

from agent_tasks import AgentSpec, AgentsProject, TurnResult, TurnSpec, release_owner, telemetry
from agent_tasks.prefect import tasks
from agent_tasks.steps import Agent, CodeInterpreter, FileSearch
from agent_tasks.tools import (
    AzureAISearchTool,
    AzureFunctionTool,
    BingGroundingTool,
    CodeInterpreterTool,
    LogicAppTool,
    OpenApiTool,
    StorageQueue,
    ToolSet,
)
from agent_tasks.wire import AzureAISearchQueryType
from tests.parity.place import MODEL, Place, Program, without_ids
from tests.support.function_app import function_app

__all__ = ["GUIDE", "WITHOUT", "guide"]

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "examples" / "guide"
RULES = ROOT / "tests" / "examples" / "rules"
DOCUMENTS, ASSETS = ROOT / "examples" / "documents", GUIDE / "assets"
LEASE, NOTE = DOCUMENTS / "contract-workshop-lease.md", DOCUMENTS / "delivery-note-oakhollow-b7.md"
BRIEFLY = "Answer in one sentence."

_PICTURES = "the prompt of a turn is text on every service: pictures are sent by a client"
WITHOUT = {
    "enterprise_file_search": "the successor builds no stores of data sources (refused with the remedy)",
    "file_retrieval": "what code has made is fetched by a client, from the files of one and a container of "
    "the other",
    "image_base64": _PICTURES,
    "image_file": _PICTURES,
    "image_url": _PICTURES,
}
"""Programs that have no counterpart, and why."""


async def asked(place: Place, agent: Agent[Any], *questions: str) -> Any:
    """What an agent answers to questions in one conversation, from where, and what it had called."""
    answers: list[Any] = []
    with place.session().entered():
        for question in questions:
            answers.append(await agent.ask(question, follows=answers[-1] if answers else None))
    return [
        [
            without_ids(answer.value),
            [[cited.file_name, cited.url] for cited in answer.citations],
            [[call.name, call.output, call.error_type] for call in answer.tool_calls],
        ]
        for answer in answers
    ]


async def agent(place: Place) -> Any:
    joiner = Agent("guide-joiner", instructions=BRIEFLY)
    return await asked(place, joiner, "Why does one drill oak before driving a screw?")


async def threads(place: Place) -> Any:
    porter = Agent("guide-porter", instructions=BRIEFLY, tools=[FileSearch([NOTE])])
    return await asked(place, porter, "How heavy is package 2?", "And package 3?")


async def message_retrieval(place: Place) -> Any:
    reader = Agent("guide-reader", instructions=BRIEFLY, tools=[FileSearch([LEASE])])
    return await asked(place, reader, "Who is the landlord?", "When is noisy work allowed?")


async def message_attachments(place: Place) -> Any:
    """The files are the agent's: a message has none on the successor."""
    own = [FileSearch([NOTE]), CodeInterpreter([ASSETS / "stock.csv"])]
    checker = Agent("guide-checker", instructions="Answer briefly.", tools=own)
    question = "How many cans of varnish came, and how many lines has the stock list?"
    return await asked(place, checker, question)


async def file_search(place: Place) -> Any:
    clerk = Agent("guide-clerk", instructions=BRIEFLY, tools=[FileSearch([LEASE])])
    return await asked(place, clerk, "How much is the rent of the workshop?")


async def code_interpreter(place: Place) -> Any:
    keeper = Agent("guide-storekeeper", instructions=BRIEFLY, tools=[CodeInterpreter([ASSETS / "stock.csv"])])
    return await asked(place, keeper, "What is the stock worth altogether?")


async def bing_grounding(place: Place) -> Any:
    bing = BingGroundingTool("a-connection", market="en-GB", count=5)
    researcher = Agent("guide-researcher", instructions=BRIEFLY, tools=[bing])
    return await asked(place, researcher, "How long does shellac take to dry?")


async def ai_search(place: Place) -> Any:
    search = AzureAISearchTool(
        index_connection_id="a-connection",
        index_name="workshop",
        query_type=AzureAISearchQueryType.SIMPLE,
        top_k=3,
    )
    librarian = Agent("guide-librarian", instructions=BRIEFLY, tools=[search])
    return await asked(place, librarian, "At what temperature is hide glue used?")


async def functions(place: Place) -> Any:
    stock, orders = {"ash": 3, "walnut": 0}, []

    def boards_in_stock(wood: str) -> int:
        """How many boards of a wood lie in the store."""
        return stock[wood.lower()]

    def order_boards(wood: str, boards: int) -> dict[str, str | int]:
        """Order boards, to be delivered within a week."""
        orders.append([wood, boards])
        return {"ordered": wood, "boards": boards, "order": "PO-1"}

    buyer = Agent(
        "guide-buyer",
        instructions="Keep 10 boards of every wood in stock.",
        tools=[boards_in_stock, order_boards, CodeInterpreterTool()],
    )
    return [await asked(place, buyer, "Is there enough ash and walnut?"), sorted(orders)]


async def async_functions(place: Place) -> Any:
    async def price_of(wood: str) -> float:
        """Price of a board in EUR."""
        await asyncio.sleep(0)
        return {"oak": 48.5, "ash": 31.0}[wood]

    seller = Agent("guide-seller", instructions="Give prices.", tools=[price_of])
    return await asked(place, seller, "What do an oak and a larch board cost?")


async def polling(place: Place) -> Any:
    def opening_hours(day: str) -> str:
        """Opening hours of the workshop."""
        return "closed" if day.lower() in ("saturday", "sunday") else "7:00 to 19:00"

    doorman = Agent("guide-doorman", instructions="Answer briefly.", tools=[opening_hours])
    return await asked(place, doorman, "Is the workshop open on Sunday?")


async def streaming(place: Place) -> Any:
    teacher = Agent("guide-teacher", instructions="Answer in two sentences.")
    return await _streamed(place, teacher, "What is a dovetail joint good for?")


async def event_handlers(place: Place) -> Any:
    def machine_state(machine: str) -> str:
        """State of a machine in the workshop, by its name."""
        return f"{machine} is running"

    foreman = Agent("guide-foreman", instructions="Answer briefly.", tools=[machine_state])
    return await _streamed(place, foreman, "How is the band saw?")


async def _streamed(place: Place, agent: Agent[Any], question: str) -> Any:
    with place.session().entered():
        async with agent.stream(question) as stream:
            pieces = [piece async for piece in stream]
        return [pieces, stream.answer.value]


async def azure_function(place: Place) -> Any:
    def validate_vat_id(vat_id: str) -> str:
        """Say whether a VAT id can be right."""
        raise RuntimeError("this runs in the function app; here it only describes itself")

    assert place.storage is not None
    tool = AzureFunctionTool.from_callable(
        validate_vat_id,
        input_queue=StorageQueue(place.storage.queue, "validate-vat-id-input"),
        output_queue=StorageQueue(place.storage.queue, "validate-vat-id-output"),
    )
    auditor = Agent("guide-auditor", instructions="Check what you are given.", tools=[tool])
    async with function_app(place.storage, place.queue_prefix, place.folder):
        return await asked(place, auditor, "Is DE136695976 a VAT id?")


class Email(BaseModel):
    """What the trigger takes."""

    recipient: str
    subject: str
    body: str


async def logic_app(place: Place) -> Any:
    """With a fake management API and a fake trigger."""
    sent: list[bytes] = []

    def azure(request: httpx.Request) -> httpx.Response:
        if request.url.host == "management.azure.com":
            return httpx.Response(200, json={"value": "https://flow.logic.azure.com/invoke?sig=SECRET"})
        sent.append(request.content)
        return httpx.Response(200, json={"status": "accepted"})

    to_azure = partial(LogicAppTool, transport=httpx.MockTransport(azure))
    send = to_azure("send_email", "Sends an email.", Email, "S", "G", "mail", "asked", SecretStr("token"))
    secretary = Agent("guide-secretary", instructions="Send mails.", tools=[send])
    told = await asked(place, secretary, "Tell m.tarn@example.com that the varnish has come.")
    return [told, sent]


async def openapi(place: Place) -> Any:
    town = {"name": "town", "in": "path", "required": True, "schema": {"type": "string"}}
    document = {
        "openapi": "3.0.3",
        "info": {"title": "Weather", "version": "1"},
        "servers": [{"url": place.weather_url}],
        "paths": {"/sky/{town}": {"get": {"operationId": "read_sky", "parameters": [town], "responses": {}}}},
    }
    weather = OpenApiTool("weather", document, "Tells the weather of a town.")
    driver = Agent("guide-driver", instructions="Look up the weather.", tools=[weather])
    return await asked(place, driver, "Can we deliver to Tallowmere without a cover?")


async def teardown(place: Place) -> Any:
    """All kinds of things are made, and all are gone."""
    guest = Agent("guide-guest", tools=[FileSearch([LEASE])])
    with place.session().entered() as session:
        await guest.ask("Not to be kept.")
    live = await place.ws.journal.resources.live(place.ws.scope)
    made = [one for one in live if one.kind != "agent"]  # inline there is none; the verdict knows of others
    await release_owner(place.ws, session.root)
    after = [await place.ws.backend.exists(one.kind, one.remote_id) for one in made]
    return [
        sorted({one.kind for one in made}),
        [one.kind for one, there in zip(made, after, strict=True) if there],
    ]


async def tracing(place: Place) -> Any:
    """The spans of durable work; those of single requests are of one wire each."""

    def price_of(wood: str) -> float:
        """Price of a board in EUR, by the English name of its wood."""
        return {"oak": 48.5}.get(wood.lower(), 40.0)

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = telemetry._tracer
    telemetry._tracer = lambda: provider.get_tracer("parity")
    try:
        seller = Agent("guide-seller", instructions="Give prices.", tools=[price_of])
        told = await asked(place, seller, "What does an oak board cost?")
    finally:
        telemetry._tracer = before
    spans = [span.name for span in exporter.get_finished_spans()]
    assert not any("What does" in span.to_json() for span in exporter.get_finished_spans())
    return [told, sorted(name for name in spans if name.startswith(("invoke_agent", "execute_tool")))]


@dataclass(eq=False)
class Log(logging.Handler):
    """Keeps what is logged."""

    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def logged() -> Iterator[list[str]]:
    logger, handler = logging.getLogger("agent_tasks.client"), Log()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


async def log_requests(place: Place) -> Any:
    with logged() as log:
        told = await asked(place, Agent("guide-witness", instructions="Answer in one word."), "Is ash hard?")
    posts = [line for line in log if re.fullmatch(r"POST \S+ answered 20\d in \d+ ms.*", line)]
    return [told, bool(posts), any("Is ash hard?" in line for line in log)]


@flow(name="parity-ask")
async def ask_in_stock(question: str) -> TurnResult:
    """The flow of `durable.py`."""

    def boards_in_stock(wood: str) -> int:
        """How many boards of a wood lie in the store."""
        return {"oak": 14, "ash": 3}.get(wood.lower(), 0)

    project, tools = AgentsProject(), ToolSet([boards_in_stock])
    spec = AgentSpec(name="guide-storekeeper", model=MODEL, instructions=BRIEFLY, tools=tools.definitions)
    agent = await tasks.ensure_agent(project, spec, owner="guide")
    choice = {"type": "function", "function": {"name": "boards_in_stock"}}
    turn = TurnSpec(step="stock", agent=agent, prompt=question, owner="guide", tool_choice=choice)
    return await tasks.run_turn(project, turn, tools=tools)


async def durable(_: Place) -> Any:
    results = [await ask_in_stock("How many ash boards are left?") for _ in range(2)]
    async with AgentsProject().workspace() as workspace:
        await release_owner(workspace, "guide")
    return [[result.text, result.reused, len(result.tool_calls)] for result in results]


_COUNTERPARTS = (
    *(agent, threads, message_retrieval, message_attachments, file_search, code_interpreter),
    *(bing_grounding, ai_search, functions, async_functions, polling, streaming, event_handlers),
    *(azure_function, logic_app, openapi, teardown, tracing, log_requests, durable),
)
_NEEDS = {"azure_function": {"azurite"}, "durable": {"prefect_server"}}


def guide() -> list[Program]:
    """A counterpart for each program of the guide, without those in `WITHOUT`."""
    return [
        Program(
            f"guide: {work.__name__}",
            work,
            yaml.safe_load((RULES / f"{work.__name__}.yaml").read_text(encoding="utf-8"))
            | {"default": {"reply": {"text": "I do not know."}}},
            frozenset(_NEEDS.get(work.__name__, ())),
        )
        for work in _COUNTERPARTS
    ]
