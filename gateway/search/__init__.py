"""Search and tagging: a query's vector and its nearest neighbours."""
