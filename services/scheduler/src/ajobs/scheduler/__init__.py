"""The scheduler service: periodic tasks."""
