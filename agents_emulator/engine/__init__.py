"""What happens behind the operations: runs, their events, file search and the ingestion of files."""
