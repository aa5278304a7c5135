"""Engines: how the rows of a segment are searched. `contract` defines what every engine guarantees."""
