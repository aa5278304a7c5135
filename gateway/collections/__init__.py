"""Collections and their images: where they are kept, and what becomes of them."""
