"""Compares vector search by the index service, by its planner in process, and by other libraries."""
