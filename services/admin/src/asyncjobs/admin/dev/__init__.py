"""The local development stack: a real nats-server and workers, as processes on the loopback address."""
