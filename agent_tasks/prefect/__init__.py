"""How Prefect meets the library: block, tasks, flows, hooks, rollback, artifacts, automations."""
