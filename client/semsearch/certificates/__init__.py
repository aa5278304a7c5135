"""Make the certificates of a suite: an authority of its own, and what it signs (`semsearch certs`)."""
