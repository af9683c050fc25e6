"""The index behind file search: BM25 (SQLite FTS5) and embeddings, fused by reciprocal rank.

Its own database file, so that the service's tables stay small. One connection behind a lock: searches take
milliseconds, and the slow parts (reading documents, embedding) run outside the lock.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agent_tasks.documents.reading_pool import shared_pool
from agents_emulator.private import private_file
from agents_emulator.retrieval.chunking import split_into_chunks
from agents_emulator.retrieval.embeddings import DIMENSIONS, embed
from agents_emulator.retrieval.words import content_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA_VERSION = 1
RANK_CONSTANT = 60
"""The k of reciprocal rank fusion: how little the first ranks stand out; 60 is the usual value."""
CANDIDATES = 50
"""How many chunks each of the two rankings contributes at least."""
MAX_QUERY_TERMS = 64
CACHED_STORES = 32

_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY,
    vector_store_id TEXT NOT NULL,
    file_id TEXT NOT NULL,
    file_name TEXT NOT NULL,
    chunk_index INTEGER NOT NULL,
    text TEXT NOT NULL,
    embedding BLOB NOT NULL,
    UNIQUE (vector_store_id, file_id, chunk_index)
);
CREATE VIRTUAL TABLE IF NOT EXISTS chunk_words USING fts5 (
    text, file_name, content='chunks', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER IF NOT EXISTS chunk_added AFTER INSERT ON chunks BEGIN
    INSERT INTO chunk_words (rowid, text, file_name) VALUES (new.id, new.text, new.file_name);
END;
CREATE TRIGGER IF NOT EXISTS chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO chunk_words (chunk_words, rowid, text, file_name)
    VALUES ('delete', old.id, old.text, old.file_name);
END;
"""


@dataclass(frozen=True)
class SearchHit:
    """A chunk that was found. ``score`` is 0..1; 1.0 means first by words and first by meaning."""

    file_id: str
    file_name: str
    text: str
    score: float
    chunk_index: int


class RetrievalIndex:
    """Chunks of the files of all vector stores. Every method blocks, and any thread may call it."""

    def __init__(self, path: Path) -> None:
        """Open or create the index file. Raises sqlite3.DatabaseError if it is not one of this version."""
        self._lock = threading.Lock()
        self._vectors: OrderedDict[str, tuple[NDArray[np.int64], NDArray[np.float32]]] = OrderedDict()
        self._db = sqlite3.connect(
            private_file(path), timeout=30.0, check_same_thread=False, isolation_level=None
        )
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            self._db.close()
            raise sqlite3.DatabaseError(
                f"{path} has version {version} of the retrieval index, this program reads {SCHEMA_VERSION};"
                " delete the file and add the files to their vector stores again"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the database file."""
        with self._lock:
            self._db.close()

    def add_file(
        self,
        vector_store_id: str,
        file_id: str,
        file_name: str,
        content: bytes,
        *,
        max_chunk_tokens: int = 800,
        overlap_tokens: int = 400,
    ) -> int:
        """Read, cut, embed and store a file, wholly or not at all; replaces an earlier version of it.

        Returns the bytes it takes (texts and embeddings). Raises the document errors of
        :func:`agent_tasks.documents.reading.read_document`.
        """
        text = shared_pool().read(content, file_name).text
        chunks = split_into_chunks(text, max_tokens=max_chunk_tokens, overlap_tokens=overlap_tokens)
        vectors = embed(chunks)
        rows = [
            (vector_store_id, file_id, file_name, number, chunk, vector.tobytes())
            for number, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True))
        ]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._delete("vector_store_id = ? AND file_id = ?", (vector_store_id, file_id))
                self._db.executemany(
                    "INSERT INTO chunks (vector_store_id, file_id, file_name, chunk_index, text, embedding)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    rows,
                )
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            finally:
                self._vectors.pop(vector_store_id, None)
        return sum(len(chunk.encode()) for chunk in chunks) + vectors.nbytes

    def remove_file(self, vector_store_id: str, file_id: str) -> None:
        """Forget a file of a store; it is no error if it is not there."""
        with self._lock:
            self._delete("vector_store_id = ? AND file_id = ?", (vector_store_id, file_id))
            self._vectors.pop(vector_store_id, None)

    def drop_store(self, vector_store_id: str) -> None:
        """Forget all files of a store; it is no error if there are none."""
        with self._lock:
            self._delete("vector_store_id = ?", (vector_store_id,))
            self._vectors.pop(vector_store_id, None)

    def search(self, vector_store_ids: Sequence[str], query: str, *, limit: int = 20) -> list[SearchHit]:
        """The best chunks of some stores for a query in plain words, best first.

        Each chunk's score is the sum of 1/(60 + rank) over both rankings, scaled so that 1.0 is the best
        possible. A chunk with neither a word nor any meaning in common with the query is not a hit.
        """
        stores = list(dict.fromkeys(vector_store_ids))
        if not stores or limit < 1 or not query.strip():
            return []
        depth = max(limit, CANDIDATES)
        [query_vector] = embed([query])
        with self._lock:
            rankings = [self._by_words(stores, query, depth), self._by_meaning(stores, query_vector, depth)]
            scores: dict[int, float] = {}
            for ranking in rankings:
                for rank, chunk in enumerate(ranking, 1):
                    scores[chunk] = scores.get(chunk, 0.0) + 1.0 / (RANK_CONSTANT + rank)
            best = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:limit]
            rows = {
                row[0]: row[1:]
                for row in self._db.execute(
                    "SELECT id, file_id, file_name, text, chunk_index FROM chunks"  # noqa: S608 - marks only
                    f" WHERE id IN ({_marks(best)})",
                    best,
                )
            }
        perfect = len(rankings) / (RANK_CONSTANT + 1)
        return [
            SearchHit(file_id, file_name, text, min(1.0, scores[chunk] / perfect), chunk_index)
            for chunk, (file_id, file_name, text, chunk_index) in ((chunk, rows[chunk]) for chunk in best)
        ]

    def _delete(self, condition: str, values: tuple[str, ...]) -> None:
        self._db.execute(f"DELETE FROM chunks WHERE {condition}", values)  # noqa: S608 - constants only

    def _by_words(self, stores: list[str], query: str, depth: int) -> list[int]:
        expression = match_expression(query)
        if not expression:
            return []
        rows = self._db.execute(
            "SELECT chunks.id FROM chunk_words JOIN chunks ON chunks.id = chunk_words.rowid"  # noqa: S608
            f" WHERE chunk_words MATCH ? AND chunks.vector_store_id IN ({_marks(stores)})"
            " ORDER BY bm25(chunk_words, 1.0, 0.5), chunks.id LIMIT ?",
            (expression, *stores, depth),
        )
        return [row[0] for row in rows]

    def _by_meaning(self, stores: list[str], query_vector: NDArray[np.float32], depth: int) -> list[int]:
        loaded = [self._store_vectors(store) for store in stores]
        ids = np.concatenate([item[0] for item in loaded])
        similarities = np.concatenate([item[1] @ query_vector for item in loaded])
        order = np.lexsort((ids, -similarities))[:depth]
        return [int(ids[index]) for index in order if similarities[index] > 0]

    def _store_vectors(self, store: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if store in self._vectors:
            self._vectors.move_to_end(store)
            return self._vectors[store]
        rows = self._db.execute(
            "SELECT id, embedding FROM chunks WHERE vector_store_id = ? ORDER BY id", (store,)
        ).fetchall()
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float32).reshape(-1, DIMENSIONS)
        self._vectors[store] = ids, matrix
        if len(self._vectors) > CACHED_STORES:
            self._vectors.popitem(last=False)
        return ids, matrix


def match_expression(query: str) -> str:
    """An FTS5 expression out of any text: its words as quoted phrases, joined by OR; empty if it has none.

    Only letters and digits get in, always within quotes, so no text can be read as FTS5 syntax. Function
    words are left out unless there are no others.
    """
    terms = re.findall(r"[^\W_]+(?:[-/.,:'][^\W_]+)*", query.casefold())
    meaningful = [term for term in terms if content_words(term)] or terms
    phrases = [" ".join(re.findall(r"[^\W_]+", term)) for term in dict.fromkeys(meaningful)]
    return " OR ".join(f'"{phrase}"' for phrase in phrases[:MAX_QUERY_TERMS])


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
