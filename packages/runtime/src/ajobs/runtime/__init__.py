"""What every service process needs and no producer does."""
