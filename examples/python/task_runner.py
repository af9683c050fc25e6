"""Tasks that ask: mapped over threads, submitted with and without `async`, in a flow with and without."""

import asyncio

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from agent_tasks import Agent, session

reader = Agent("reader", instructions="Say in one word what kind of letter it is.")


@task
def kind_of(letter: str) -> str:
    return reader.ask_sync(letter).value


@task
async def kind_of_async(letter: str) -> str:
    return (await reader.ask(letter)).value


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def mapped(letters: list[str]) -> list[str]:
    with session():
        return kind_of.map(letters).result()


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
async def submitted(letters: list[str]) -> list[str]:
    async with session():
        futures = [kind_of_async.submit(letter) for letter in letters]
        return [future.result() for future in futures]


@flow
async def gathered(letters: list[str]) -> list[str]:
    async with session():
        return list(await asyncio.gather(*(kind_of_async(letter) for letter in letters)))


if __name__ == "__main__":
    print(mapped(["Your rent is late.", "Happy birthday!"]))
    print(asyncio.run(submitted(["Your rent is late.", "Happy birthday!"])))
    print(asyncio.run(gathered(["Your rent is late.", "Happy birthday!"])))
