"""Code that every server process shares, and nothing else. It knows gRPC, but not images or vectors."""
