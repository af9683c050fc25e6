"""The blocking client, generated from `_async` by `python -m agent_tasks.client._generate`.

Only `_runtime` is written by hand.
"""
