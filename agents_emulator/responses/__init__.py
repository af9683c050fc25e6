"""The successor's wire: agents with versions, conversations, responses, files, stores and containers.

It is a second face of the same store and engine. A response is a run that stops at its first round of
function calls: the engine asks the model and executes tools as for any run, `outputs` tells what came of it
as items, and `feed` tells the engine's events as those of a response. Files and vector stores are the same.
"""
