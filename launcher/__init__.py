"""Start the suite on one machine: what `make run-all` runs. Knows the services only as processes and by gRPC."""
