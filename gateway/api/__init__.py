"""The gateway's three services as gRPC: servicers, messages and statuses."""
