"""Sentence embeddings by WordLlama: static word vectors, averaged.

Weights and tokenizer come in its wheel.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSIONS = 256

_lock = threading.Lock()
_model: Any = None


def _wordllama() -> Any:
    """The model, loaded on first use (a quarter of a second) and shared by all threads."""
    global _model
    with _lock:
        if _model is None:
            from wordllama import WordLlama

            spec = find_spec("wordllama")
            if spec is None or spec.origin is None:
                raise ImportError("wordllama is not installed; install the extra 'local'")
            # It looks for the tokenizer of its wheel under cache_dir, and would download it otherwise.
            _model = WordLlama.load(cache_dir=Path(spec.origin).parent, disable_download=True)
        return _model


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of texts, one row each; a text without any known token gives a row of zeros."""
    if not texts:
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    # The tokenizer has no tokens for an empty text, and the average of nothing is not a number.
    vectors = np.asarray(_wordllama().embed([text or " " for text in texts], norm=False), dtype=np.float32)
    vectors = np.nan_to_num(vectors)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return unit


def count_tokens(texts: Sequence[str]) -> list[int]:
    """How many tokens each text has for WordLlama's tokenizer.

    It is Llama's: about 4 characters of English each.
    """
    if not texts:
        return []
    encoded = _wordllama().tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [sum(item.attention_mask) for item in encoded]  # the batch is padded to its longest text
