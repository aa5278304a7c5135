"""How long it takes to switch to a model with a large vocabulary, and how searches fare meanwhile."""
