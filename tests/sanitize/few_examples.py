"""A pytest plugin for the sanitizer run: fewer examples of each law, fewer cases of each test, and time to be slow.

Of a test with many cases some are kept, evenly over the list with its first and its last: the
sanitizers look at what the code does with memory, which most cases of one test have in common. All
cases run without sanitizers. Tests that are marked as exhaustive, which go through all values of
one thing in one loop, or very many, are left out.
"""

from hypothesis import settings

CASES_MAX = 3

settings.register_profile("few examples", max_examples=10, deadline=None, derandomize=True)
settings.load_profile("few examples")


def pytest_collection_modifyitems(config, items):
    """Keeps CASES_MAX cases of each test function at most."""
    cases = {}
    for item in (item for item in items if not item.get_closest_marker("exhaustive")):
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = set()
    for found in cases.values():
        step = max(1, -(-(len(found) - 1) // (CASES_MAX - 1)))
        kept.update(item.nodeid for item in [*found[::step], found[-1]])
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
    items[:] = [item for item in items if item.nodeid in kept]
