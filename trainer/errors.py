"""Errors of training.

TrainerError
├── BackboneUnusable        the pretrained network cannot be read, or is not one that gives feature vectors
├── BundleUnsearchable      a bundle that was just made gives no answers to searches
├── CacheMismatch           a feature cache was made with another backbone, view or type
├── CacheInUse              another process is writing the same feature cache
├── EvaluationImpossible    the images, labels and vocabulary given have nothing in common to measure
├── HeadMismatch            a head gives vectors of another dimension than the words have
├── NotWritten              the disk is full, or may not be written to
├── RunInUse                another process works in the same run's folder
├── RunMismatch             a run's folder holds a run with other settings, or of other data
├── SettingsUnusable        a file of settings, or an option beside it, says what no training can be made with
├── StarterError            something that making the starter needs is absent or does not fit
│   ├── FontMissing            the emoji font that scenes are drawn with is not installed
│   ├── PackagesMissing        a package that only making the starter needs is not installed
│   ├── SentenceModelMissing   the package with the sentence model's weights is not installed
│   └── UnknownLabel           a class has no entry in WordNet, or its word is not in the vocabulary
├── TrainingDiverged        the loss of a training is no number any more
├── TrainingPackageMissing  a package that only training needs is not installed
├── TrainingSetUnusable     a data set cannot be read or learnt from, or a class has no vector
├── WordDimensionUnusable   word vectors have fewer or more numbers than a bundle may have
├── WordFetchFailed         a file of word vectors cannot be fetched now
├── WordFileUnknown         there are no word vectors of that name to fetch
├── WordFileWrong           what was fetched is another file of word vectors than the one that is known
├── WordNetMissing          there is no WordNet database in the folder given
├── WordSpaceMissing        there is no vocabulary where one should be
└── WordVectorsMalformed    a file of word vectors is damaged, or has a line that is not a word and its numbers
"""

__all__ = [
    "BackboneUnusable",
    "BundleUnsearchable",
    "CacheInUse",
    "CacheMismatch",
    "EvaluationImpossible",
    "FontMissing",
    "HeadMismatch",
    "NotWritten",
    "PackagesMissing",
    "RunInUse",
    "RunMismatch",
    "SentenceModelMissing",
    "SettingsUnusable",
    "StarterError",
    "TrainerError",
    "TrainingDiverged",
    "TrainingPackageMissing",
    "TrainingSetUnusable",
    "UnknownLabel",
    "WordDimensionUnusable",
    "WordFetchFailed",
    "WordFileUnknown",
    "WordFileWrong",
    "WordNetMissing",
    "WordSpaceMissing",
    "WordVectorsMalformed",
]


class TrainerError(Exception):
    """Something that training was given does not fit; the message says what to do."""


class BackboneUnusable(TrainerError):
    """The pretrained network cannot be read, or is not one that gives feature vectors."""


class BundleUnsearchable(TrainerError):
    """A bundle that was just made gives no answers to searches."""


class CacheMismatch(TrainerError):
    """A feature cache was made with another backbone, view or type."""


class CacheInUse(TrainerError):
    """Another process is writing the same feature cache."""


class EvaluationImpossible(TrainerError):
    """The images, labels and vocabulary given have nothing in common to measure."""


class HeadMismatch(TrainerError):
    """A head gives vectors of another dimension than the words have."""


class NotWritten(TrainerError):
    """The disk is full, or may not be written to."""


class RunInUse(TrainerError):
    """Another process works in the same run's folder."""


class RunMismatch(TrainerError):
    """A run's folder holds a run with other settings, or of other data."""


class SettingsUnusable(TrainerError):
    """A file of settings, or an option beside it, says what no training can be made with; the key is named."""


class StarterError(TrainerError):
    """Something that making the starter needs is absent or does not fit."""


class FontMissing(StarterError):
    """The emoji font that scenes are drawn with is not installed."""


class PackagesMissing(StarterError):
    """A package that only making the starter needs is not installed."""


class SentenceModelMissing(StarterError):
    """The package with the sentence model's weights is not installed."""


class UnknownLabel(StarterError):
    """A class has no entry in WordNet, or its word is not in the vocabulary."""


class TrainingDiverged(TrainerError):
    """The loss of a training is no number any more. The checkpoint before it is kept."""


class TrainingPackageMissing(TrainerError):
    """A package that only training needs is not installed."""


class TrainingSetUnusable(TrainerError):
    """A training set cannot be read or be learnt from, or a class has no vector."""


class WordDimensionUnusable(TrainerError):
    """Word vectors have fewer or more numbers than a bundle may have."""


class WordFetchFailed(TrainerError):
    """A file of word vectors cannot be fetched now. What came of it is kept."""


class WordFileUnknown(TrainerError):
    """There are no word vectors of that name to fetch."""


class WordFileWrong(TrainerError):
    """What was fetched is another file of word vectors than the one that is known. Nothing of it is kept."""


class WordNetMissing(TrainerError):
    """There is no WordNet database in the folder given."""


class WordSpaceMissing(TrainerError):
    """There is no vocabulary where one should be."""


class WordVectorsMalformed(TrainerError):
    """A file of word vectors is damaged, or has a line that is not a word and its numbers."""
