"""File search of the local service: chunks, hybrid search, passages for a small prompt, citations."""

from agents_emulator.retrieval.citations import CitationMarker, MarkedText
from agents_emulator.retrieval.index import RetrievalIndex, SearchHit
from agents_emulator.retrieval.passages import select_passages

__all__ = ["CitationMarker", "MarkedText", "RetrievalIndex", "SearchHit", "select_passages"]
