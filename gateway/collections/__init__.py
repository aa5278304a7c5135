"""Collections and their images: storage, listing, changes and deletion."""
