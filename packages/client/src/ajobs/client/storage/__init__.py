"""JetStream as the store: streams of tasks and work items, their consumers, buckets and events."""
