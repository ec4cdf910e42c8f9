"""The ``mrcore`` command. Thin: parse, call, print."""
