"""Items on their way from the queues to the slots."""
