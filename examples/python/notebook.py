"""In a notebook, whose event loop runs already: `await` works in cells, and so does the blocking form."""

# %%
from agent_tasks import Agent, session

helper = Agent("helper", instructions="Answer briefly.")
work = session(owner="notebook")
here = await work.__aenter__()  # noqa: F704 - a cell may await

# %%
print((await helper.ask("What is a delivery note?")).value)  # noqa: F704

# %%
print(helper.ask_sync("Who signs it?", session=here).value)

# %%
await work.__aexit__(None, None, None)  # noqa: F704
