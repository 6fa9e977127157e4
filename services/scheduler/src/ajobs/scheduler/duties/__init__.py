"""What the leading scheduler does."""
