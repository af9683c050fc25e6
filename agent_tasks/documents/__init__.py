"""Documents: where they are found, their text, and where a value stands in it.

Imports nothing of the library but its errors.
"""
