"""Benchmarks; each compares its subjects in a single run, because machines are shared."""
