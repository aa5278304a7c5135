"""Embeds words and images as vectors of one joint space."""
