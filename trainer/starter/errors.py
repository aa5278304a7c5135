"""Errors of making the starter.

StarterError
├── PackagesMissing        a package that only making the starter needs is not installed
├── SentenceModelMissing   the package with the sentence model's weights is not installed
├── FontMissing            the emoji font that scenes are drawn with is not installed
├── WordNetMissing         no WordNet database at the folder given
└── UnknownLabel           a class has no entry in WordNet, or its word is not in the vocabulary
"""

__all__ = ["FontMissing", "PackagesMissing", "SentenceModelMissing", "StarterError", "UnknownLabel", "WordNetMissing"]


class StarterError(Exception):
    """Something that making the starter needs is absent or does not fit."""


class PackagesMissing(StarterError):
    """A package that only making the starter needs is not installed."""


class SentenceModelMissing(StarterError):
    """The package with the sentence model's weights is not installed."""


class FontMissing(StarterError):
    """The emoji font that scenes are drawn with is not installed."""


class WordNetMissing(StarterError):
    """No WordNet database lies at the folder given."""


class UnknownLabel(StarterError):
    """A class has no entry in WordNet, or its word is not in the vocabulary."""
