"""Readers: one module for each kind of document, imported when the first of its kind is read."""
