"""A development host: runs a Python Function App of queue-triggered functions on this machine.

    async with FunctionsHost(Path("azure_functions"), connections) as host:
        await host.serve()

It is not Microsoft's host, which cannot be installed from a package registry. Its queue trigger follows the
documented and published behaviour of that one (`listener`); the functions run in Microsoft's own Python
worker library where that imports, else by `azure.functions` alone (`executors`). What it has: queue triggers
and queue output bindings. What it has not: other triggers and bindings, scaling out, keys, an HTTP front.

| module | what is in it |
| --- | --- |
| `configuration` | `host.json`, `local.settings.json`, connections |
| `wire` | what host and app process say to each other |
| `executors` | how a function is found and called, inside the app process |
| `app_process` | the program of the app process |
| `worker` | the app process as its host sees it: started, called, killed, started again |
| `listener` | the queue trigger |
| `host` | all of it together |
"""

from __future__ import annotations

from agent_tasks.local.functions_host.configuration import AppFolder, HostOptions, QueueOptions
from agent_tasks.local.functions_host.host import FunctionsHost

__all__ = ["AppFolder", "FunctionsHost", "HostOptions", "QueueOptions"]
