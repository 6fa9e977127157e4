"""The duties of the leading scheduler."""
