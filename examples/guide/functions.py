"""Functions: the agent asks for calls, this program carries them out, and the run continues by itself."""

from __future__ import annotations

from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.tools import CodeInterpreterTool, ToolSet

STOCK = {"oak": 14, "ash": 3, "walnut": 0}


def boards_in_stock(wood: str) -> int:
    """How many boards of a wood lie in the store.

    Args:
        wood: Name of the wood, in English.
    """
    return STOCK[wood.lower()]


def order_boards(wood: str, boards: int) -> dict[str, str | int]:
    """Order boards, to be delivered within a week.

    Args:
        wood: Name of the wood, in English.
        boards: How many.
    """
    return {"ordered": wood, "boards": boards, "order": "PO-1"}


def main() -> None:
    """Have an agent look and order."""
    # The model is told names, type hints and docstrings. Hosted tools may be in the same set.
    tools = ToolSet([boards_in_stock, order_boards, CodeInterpreterTool()])
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL,
            name="guide-buyer",
            instructions="Keep 10 boards of every wood in stock.",
            tools=tools.definitions,
        )
        afterwards.callback(client.agents.delete, agent.id)
        client.enable_auto_function_calls(tools)

        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="Is there enough ash and walnut?")
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)

        for step in client.run_steps.list(thread.id, run.id, order="asc"):
            print(f"step: {step.type}, {step.status}")
        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)


if __name__ == "__main__":
    main()
