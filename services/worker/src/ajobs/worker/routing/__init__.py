"""From task types to handlers."""
