"""What a service does under more load than it can answer."""
