"""Outgoing webhooks: signed, retried as the receiver asks for, and told apart by their id when they come twice."""
