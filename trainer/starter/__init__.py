"""Make the starter: its word space, its scenes, its backbone and its head."""
