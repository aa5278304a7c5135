"""Measures of a space, taken on vectors alone: rankings, searches, tags, hierarchy, zero-shot."""
