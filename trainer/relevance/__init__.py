"""Relevance: curves from similarity to a share from 0 to 1, and thresholds below which matches are left out."""
