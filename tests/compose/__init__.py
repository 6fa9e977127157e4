"""The stack in a real Docker engine: `make test-compose`, and what CI runs of it, `make test-compose-quick`."""
