"""Tools that the service executes itself while a run is in progress.

One module a tool; `base` says what a tool is, `toolbox` puts those of a run together.
"""
