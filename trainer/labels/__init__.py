"""What labels are called, and where their words lie in the joint space."""
