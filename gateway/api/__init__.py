"""The gateway's three gRPC services: servicers, messages and statuses."""
