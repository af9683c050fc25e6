"""The same in a flow without `async`."""

from prefect import flow

from agent_tasks import Agent, session

reader = Agent("reader", instructions="Say in one word what kind of letter it is.")


@flow
def read_letters(letters: list[str]) -> list[str]:
    with session():
        return [reader.ask_sync(letter, step=f"letter-{n}").value for n, letter in enumerate(letters)]


if __name__ == "__main__":
    print(read_letters(["Your rent is late.", "Happy birthday!"]))
