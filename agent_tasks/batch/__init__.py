"""Many documents through a pipeline: the run, its workers, results and report. Knows nothing of Prefect."""
