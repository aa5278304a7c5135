"""Files of a model: where they come from, and that they survive a crash."""
