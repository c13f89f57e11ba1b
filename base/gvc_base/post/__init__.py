"""Several bases feed one command post: rows of archives, over a NATS server, into copies of them."""
