"""Prefect flows composed of the durable tasks, and what they are made of."""
