"""The transport: connections to NATS and requests over them."""
