"""``ajc doctor``: looks at everything that is known to go wrong, and says what to do about it."""
