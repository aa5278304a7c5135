"""Start the suite on one machine, for `make run-all`. Knows the services only as processes and over gRPC."""
