"""A folder of documents through a pipeline of agents: deploy this file, or copy it and change what you need.

    prefect --no-prompt deploy --prefect-file deployments/prefect.yaml --all

Without a clone the same flow is deployed from the installed package (docs/deploying.md):

    prefect deploy agent_tasks.prefect.document_batch.document_batch --name NAME --pool POOL
"""

from prefect.types.entrypoint import EntrypointType

from agent_tasks.prefect.document_batch import document_batch

__all__ = ["document_batch"]

if __name__ == "__main__":
    document_batch.serve(name="document-batch", entrypoint_type=EntrypointType.MODULE_PATH)
