"""Measures of a space, computed from vectors alone: rankings, searches, tags, hierarchy, zero-shot."""
