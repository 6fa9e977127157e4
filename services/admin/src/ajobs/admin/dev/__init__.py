"""The local development stack: a real nats-server and the services, as processes on the loopback address."""
