"""What every server process shares, and only that. Knows gRPC, and nothing of images or vectors."""
