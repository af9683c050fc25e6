"""The client, written once with `async`; the blocking one is generated from it by replacing names.

Everything particular to asyncio is in `_runtime`; what needs neither form is in the package above.
"""
