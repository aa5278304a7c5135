"""Errors of training.

TrainerError
├── BackboneUnusable        the pretrained network cannot be read, or does not give feature vectors
├── BundleUnsearchable      a newly made bundle does not answer searches
├── CacheMismatch           a feature cache was made with another backbone, view or type
├── CacheInUse              another process is writing the same feature cache
├── ClusterUnreachable      no Ray cluster answers at the given address
├── EvaluationImpossible    the images, labels and vocabulary given have nothing in common to measure
├── HeadMismatch            a head gives vectors of another dimension than the words have
├── NotWritten              the disk is full, or may not be written to
├── RunInUse                another process is using the same run's folder
├── RunMismatch             a run's folder holds a run with other settings or other data
├── SettingsUnusable        a settings file or an option has an invalid value
├── StarterError            something needed to make the starter is absent or does not fit
│   ├── FontMissing            the emoji font that scenes are drawn with is not installed
│   ├── PackagesMissing        a package that only making the starter needs is not installed
│   ├── SentenceModelMissing   the package with the sentence model's weights is not installed
│   └── UnknownLabel           a class has no entry in WordNet, or its word is not in the vocabulary
├── TrainingDiverged        the loss is no longer a finite number
├── TrainingPackageMissing  a package that only training needs is not installed
├── TrainingSetUnusable     a data set cannot be read or trained on, or a class has no vector
├── WordDimensionUnusable   word vectors have fewer or more numbers than a bundle may have
├── WordFetchFailed         a file of word vectors cannot be fetched now
├── WordFileUnknown         no known file of word vectors has that name
├── WordFileWrong           the fetched file of word vectors differs from the known one
├── WordNetMissing          the given folder has no WordNet database
├── WordSpaceMissing        the vocabulary does not exist
└── WordVectorsMalformed    a file of word vectors is damaged, or has a line that is not a word and its numbers
"""


class TrainerError(Exception):
    """An input of the trainer cannot be used; the message says what to do."""


class BackboneUnusable(TrainerError):
    """The pretrained network cannot be read, or does not give feature vectors."""


class BundleUnsearchable(TrainerError):
    """A newly made bundle does not answer searches."""


class CacheMismatch(TrainerError):
    """A feature cache was made with another backbone, view or type."""


class CacheInUse(TrainerError):
    """Another process is writing the same feature cache."""


class ClusterUnreachable(TrainerError):
    """No Ray cluster answers at the given address."""


class EvaluationImpossible(TrainerError):
    """The images, labels and vocabulary given have nothing in common to measure."""


class HeadMismatch(TrainerError):
    """A head gives vectors of another dimension than the words have."""


class NotWritten(TrainerError):
    """The disk is full, or may not be written to."""


class RunInUse(TrainerError):
    """Another process is using the same run's folder."""


class RunMismatch(TrainerError):
    """A run's folder holds a run with other settings or other data."""


class SettingsUnusable(TrainerError):
    """A settings file or an option has an invalid value; the message names the key."""


class StarterError(TrainerError):
    """Something needed to make the starter is absent or does not fit."""


class FontMissing(StarterError):
    """The emoji font that scenes are drawn with is not installed."""


class PackagesMissing(StarterError):
    """A package that only making the starter needs is not installed."""


class SentenceModelMissing(StarterError):
    """The package with the sentence model's weights is not installed."""


class UnknownLabel(StarterError):
    """A class has no entry in WordNet, or its word is not in the vocabulary."""


class TrainingDiverged(TrainerError):
    """The loss is no longer a finite number. The last checkpoint is kept."""


class TrainingPackageMissing(TrainerError):
    """A package that only training needs is not installed."""


class TrainingSetUnusable(TrainerError):
    """A training set cannot be read or trained on, or a class has no vector."""


class WordDimensionUnusable(TrainerError):
    """Word vectors have fewer or more numbers than a bundle may have."""


class WordFetchFailed(TrainerError):
    """A file of word vectors cannot be fetched now. The part already received is kept."""


class WordFileUnknown(TrainerError):
    """No known file of word vectors has that name."""


class WordFileWrong(TrainerError):
    """The fetched file of word vectors differs from the known one. It is deleted."""


class WordNetMissing(TrainerError):
    """The given folder has no WordNet database."""


class WordSpaceMissing(TrainerError):
    """The vocabulary does not exist."""


class WordVectorsMalformed(TrainerError):
    """A file of word vectors is damaged, or has a line that is not a word and its numbers."""
