"""Tasks in other processes, or on other machines with Dask: they are given the session."""

from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner

from agent_tasks import Agent, Session, session

reader = Agent("reader", instructions="Say in one word what kind of letter it is.")


@task
def kind_of(letter: str, work: Session) -> str:
    return reader.ask_sync(letter, session=work).value


# With Dask: @flow(task_runner=prefect_dask.DaskTaskRunner()), and all the rest as it is.
@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def read_letters(letters: list[str]) -> list[str]:
    with session() as work:
        futures = [kind_of.submit(letter, work) for letter in letters]
        return [future.result() for future in futures]


if __name__ == "__main__":
    print(read_letters(["Your rent is late.", "Happy birthday!"]))
