"""Relevance: from similarity to a share from 0 to 1, and the thresholds below which matches are left out."""
