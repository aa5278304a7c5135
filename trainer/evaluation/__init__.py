"""Measure bundles as they are served, compare them with baselines and each other, and report the results."""
