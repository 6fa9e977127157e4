"""``ajc doctor``: checks for known problems, and reports remedies."""
