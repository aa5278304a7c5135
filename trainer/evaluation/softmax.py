"""A softmax classifier on a backbone's features: what ConSE stands on, and a baseline by itself.

Contract: multinomial logistic regression on standardised features, by mini-batches and Adam (Kingma and Ba 2015). The
same features, labels and seed give the same classifier. NumPy is enough for features that are already computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Softmax", "fit_softmax", "softmax"]

_EPOCHS = 20
_BATCH = 256
_RATE = 2e-3
_DECAY = 1e-4
_SMALL = 1e-8

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Softmax:
    """Statistics of the features it was fitted on, (features); weights, (features, classes); and biases, (classes)."""

    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats

    def __call__(self, features: Floats) -> Floats:
        """The probability of each class: (n, classes)."""
        logits = (features - self.mean) / self.scale @ self.weights + self.bias
        return softmax(logits.astype(np.float32))


def softmax(logits: Floats) -> Floats:
    """Rows of probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def fit_softmax(features: Floats, labels: NDArray[np.int64], classes: int, seed: int = 0) -> Softmax:
    """Fit to features (n, d) and labels (n), each of 0…classes − 1."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.maximum(scale, 1e-2 * float(scale.mean()) + _SMALL)
    inputs = (features - mean) / scale
    random = np.random.default_rng(seed)
    weights = np.zeros((features.shape[1] + 1, classes), dtype=np.float32)  # the last row is the biases
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    batches = -(-len(labels) // _BATCH)
    for step in range(_EPOCHS * batches):
        if step % batches == 0:
            order = random.permutation(len(labels))
        chosen = order[step % batches * _BATCH :][:_BATCH]
        x = np.concatenate([inputs[chosen], np.ones((len(chosen), 1), np.float32)], axis=1)
        error = softmax(x @ weights)
        error[np.arange(len(chosen)), labels[chosen]] -= 1
        gradient = x.T @ error / len(chosen)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        moved = first / (1 - 0.9 ** (step + 1)) / (np.sqrt(second / (1 - 0.999 ** (step + 1))) + _SMALL)
        rate = _RATE * (1 + np.cos(np.pi * step / (_EPOCHS * batches))) / 2
        weights -= (rate * (moved + _DECAY * weights)).astype(np.float32)
    return Softmax(mean, scale, weights[:-1], weights[-1])
