"""Measure bundles as they serve, beside baselines and each other, and report what was found."""
