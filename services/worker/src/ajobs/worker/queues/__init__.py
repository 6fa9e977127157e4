"""From queues to slots."""
