"""Examples to read and copy."""
