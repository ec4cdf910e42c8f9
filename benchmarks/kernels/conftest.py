"""What the small benchmarks share."""
import pytest


@pytest.fixture
def report(benchmark):
    """``report(digest, count)`` says what was made and, where it was timed, how long each of ``count`` took."""

    def say(digest: str, count: int) -> None:
        benchmark.extra_info["digest"] = digest
        if benchmark.stats:  # absent under --benchmark-disable
            benchmark.extra_info["ns each"] = round(benchmark.stats.stats.min * 1e9 / count, 1)
        print(f"\n{benchmark.name}: {benchmark.extra_info}")

    return say
