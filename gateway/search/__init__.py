"""Searches and tags: what a query means, and what is near it."""
