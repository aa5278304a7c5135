"""Named vector indexes: durable, updatable, and searched by angular distance."""
