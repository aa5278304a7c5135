"""Measures a switch to a model with a large vocabulary, and the searches during the switch."""
