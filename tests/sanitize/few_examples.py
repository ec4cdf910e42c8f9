"""A pytest plugin for the sanitizer run: fewer examples of each law, and time for each to be slow."""

from hypothesis import settings

settings.register_profile("few examples", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("few examples")
