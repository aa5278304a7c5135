"""Images on their way in: from an upload to an answer once it is durable and searchable."""
