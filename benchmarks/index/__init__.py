"""Vector search side by side: the index service, its planner in process, and what others search with."""
