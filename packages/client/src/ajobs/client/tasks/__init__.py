"""Everything that producers do with tasks."""
