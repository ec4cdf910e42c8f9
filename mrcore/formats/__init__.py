"""User data in and out: which files an input means, and what output looks like."""
