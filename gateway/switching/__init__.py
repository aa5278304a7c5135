"""Switching collections to another model while they are searched."""
