"""A vector an item, by which items are grouped into topics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from filters._asking import embedded
from pipeline.ports import Screening
from pipeline.schema import Item
from pipeline.statistics.similarity import tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COMMON_WORDS = 1024
"""Words that stand for the meaning where there is no embedder."""


def vectors_of(items: Sequence[Item], screening: Screening) -> tuple[NDArray[np.floating[Any]], str]:
    """Vectors, shape (n, d), and what made them: sentence embeddings, else the words weighted by how rare they are."""
    texts = [item.text for item in items]
    if screening.embedder is not None:
        return embedded(screening.embedder, texts), screening.embedder.info.name
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(analyzer=tokens, binary=True, max_features=COMMON_WORDS, dtype=np.float32)
    return words.fit_transform(texts).toarray(), "words"
