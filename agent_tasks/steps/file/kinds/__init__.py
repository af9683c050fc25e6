"""The kinds of steps that a pipeline file may hold, one module each."""
