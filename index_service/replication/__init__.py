"""Read replicas: one writer publishes its indexes to an object store, and replicas on other machines serve them.

All objects but one are immutable and named by their SHA-256 (`records`). The head is replaced last, and everything that
it leads to was stored before it, so the place is consistent whenever either side stops.
"""
