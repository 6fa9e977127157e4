"""One run of one task, from its item to the acknowledgement."""
