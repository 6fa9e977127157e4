"""The wire contract as pure Python: documents, names, subjects, signatures, states and decisions."""
