"""Measures of a space and of what searches and tags with it: figures, baselines, relevance, and their report."""
