"""Tells of what has waited for long, for people or in the queues of tools: deploy this file with a schedule.

    prefect --no-prompt deploy --prefect-file deployments/maintenance.yaml --all

Without a clone the same flow is deployed from the installed package (docs/deploying.md), by the entrypoint
`agent_tasks.prefect.watch.watch`.
"""

from prefect.types.entrypoint import EntrypointType

from agent_tasks.prefect.watch import watch

__all__ = ["watch"]

if __name__ == "__main__":
    watch.serve(name="watch", cron="15 * * * *", entrypoint_type=EntrypointType.MODULE_PATH)
