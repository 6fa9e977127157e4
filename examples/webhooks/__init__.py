"""Outgoing webhooks: signed, retried as the receiver requests, with an id by which receivers detect duplicates."""
