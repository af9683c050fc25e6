"""One document through agents: durable steps, from a pipeline file or from Python."""
