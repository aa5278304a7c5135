"""Ingest: from an upload to its answer once the image is durable and searchable."""
