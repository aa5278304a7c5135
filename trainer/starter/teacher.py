"""What a pretrained network says of the training pictures: the backbone's teacher (distillation, Hinton et al. 2015).

The network's own classes are others than ours, and our pictures are small ones made large; so a linear classifier of
our classes is trained on its features. It would know by heart what it was trained on, and then say no more than the
label; therefore each picture is told of by a classifier that has not seen it, one of five.
Contract: probabilities, float16 (n, classes); the same features, labels and seed give the same again.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.features.computing import FeatureSet

__all__ = ["held_out_probabilities"]

FOLDS = 5
EPOCHS = 8
BATCH = 512


def held_out_probabilities(data: FeatureSet, seed: int = 0) -> NDArray[np.float16]:
    """Returns the probabilities of the classes that ``data`` names, by classifiers that did not see the picture."""
    fold = np.random.default_rng(seed).permutation(len(data)) % FOLDS
    told = np.empty((len(data), len(data.names)), np.float16)
    for number in range(FOLDS):
        keras.utils.set_random_seed(seed + number)
        classifier = _fit(data, np.flatnonzero(fold != number))
        unseen = np.flatnonzero(fold == number)
        told[unseen] = classifier.predict(data.take(unseen), batch_size=1024, verbose=0)
    return told


def _fit(data: FeatureSet, chosen: NDArray[np.int64]) -> keras.Model:
    features = data.take(chosen)
    standardise = keras.layers.Normalization()
    standardise.adapt(features)
    classifier = keras.Sequential(
        [standardise, keras.layers.Dropout(0.2), keras.layers.Dense(len(data.names), activation="softmax")]
    )
    rate = keras.optimizers.schedules.CosineDecay(1e-3, EPOCHS * max(1, len(chosen) // BATCH))
    classifier.compile(keras.optimizers.AdamW(rate, weight_decay=1e-2), "sparse_categorical_crossentropy")
    classifier.fit(features, data.labels[chosen], batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return classifier
