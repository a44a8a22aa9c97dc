"""One program a client: each takes a measure, the load server's address and a count, and prints one line of JSON."""
