"""Named vector indexes: durable, live, searched by angle."""
