"""The RPCs of the index service: messages become calls of the domain, and its errors become statuses."""
