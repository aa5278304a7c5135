"""Queries in words → vectors."""
