"""Text for people: values, tables, prompts and payloads."""
