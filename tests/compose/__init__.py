"""Tests of the stack in a real Docker engine: `make test-compose`, and `make test-compose-quick` for CI."""
