"""Deletes what flows left behind on the service: deploy this file with a schedule of your own.

    prefect --no-prompt deploy flows/sweep.py:sweep --name nightly --pool POOL --cron "0 3 * * *"

Without a clone the same flow is deployed from the installed package (docs/deploying.md), by the entrypoint
`agent_tasks.prefect.sweep.sweep`.
"""

from prefect.types.entrypoint import EntrypointType

from agent_tasks.prefect.sweep import sweep

__all__ = ["sweep"]

if __name__ == "__main__":
    sweep.serve(
        name="sweep",
        cron="0 3 * * *",
        parameters={"dry_run": False},
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
