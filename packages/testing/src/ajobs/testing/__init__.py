"""Real nats-servers, workers and fixtures for tests."""
