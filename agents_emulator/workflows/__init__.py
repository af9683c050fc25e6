"""Agents of kind `workflow`: actions declared in YAML, carried out one after the other.

`definition` reads the YAML into a program of steps, `expressions` and `functions` are the part of Power Fx
that it may use, and `running` carries a response of such an agent out.
"""
