"""Indexes that a Weaviate cluster keeps: a collection for each, and no files of our own."""
