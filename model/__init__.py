"""The joint model of words and images, as a library for who serves it and who makes it."""
