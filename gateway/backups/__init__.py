"""Backups of everything: made at one point in time while writing goes on, checked, pruned and restored."""
