"""Deletes what flows left behind on the service: deploy this file with a schedule of your own.

Without a clone the same flow is deployed from the installed package, by the entrypoint
`agent_tasks.prefect.sweep.sweep`.
"""

from agent_tasks.prefect.sweep import sweep

__all__ = ["sweep"]

if __name__ == "__main__":
    sweep.serve(name="sweep", cron="0 3 * * *", parameters={"dry_run": False})
