"""The pipeline file: its schema, how it is read and checked, prompts, the schema of answers, overrides."""
