"""Indexes on this machine: SQLite holds the truth, and segments make searches fast."""
