"""How calls travel: one description of a call, and two transports that send it, blocking and asynchronous."""
