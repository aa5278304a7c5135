"""Engines: how the rows of a segment are searched. `contract` says what every engine promises."""
