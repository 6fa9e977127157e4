"""Examples to read and to copy."""
