"""What several gateways share beside the indexes: leases and small records."""
