"""Has the journal forget what has ended long ago: deploy this file with a schedule of your own.

    prefect --no-prompt deploy --prefect-file deployments/maintenance.yaml --all

Without a clone the same flow is deployed from the installed package (docs/deploying.md), by the entrypoint
`agent_tasks.prefect.prune.prune`.
"""

from prefect.types.entrypoint import EntrypointType

from agent_tasks.prefect.prune import prune

__all__ = ["prune"]

if __name__ == "__main__":
    prune.serve(
        name="prune",
        cron="30 3 * * 0",
        parameters={"dry_run": False, "days": 90},
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
