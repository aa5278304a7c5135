"""What the services of a suite are doing, from their metrics."""
