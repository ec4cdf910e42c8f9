"""What a job is to compute: counts, an index, or the number of distinct keys.

A job says what its tasks make of the keys and what decides its answer; how it is run does not
show here.
"""

from __future__ import annotations

import msgspec

from mrcore.engine.keys import REGEX
from mrcore.engine.spec import Keys
from mrcore.errors import UsageError

COUNT_MAX = (1 << 63) - 1
TOKENIZERS = ("whitespace", "ascii", "unicode")  # that a user may name, beside regex:PATTERN


class CountJob(msgspec.Struct, frozen=True):
    """How often each key occurs."""

    paths: tuple[bytes | str, ...]
    keys: Keys = Keys()
    min_count: int = 1
    top: int | None = None  # only so many, largest counts first

    @property
    def make(self) -> str:
        """What map tasks write: see :class:`mrcore.engine.spec.MapSpec`."""
        return "counts"

    @property
    def emit(self) -> str:
        """What reduce tasks write: see :class:`mrcore.engine.spec.ReduceSpec`."""
        return "lines"

    def describe(self) -> dict[str, object]:
        """What decides the answer beside the input, for the manifest."""
        return {"verb": verb_of(self.keys), **describe_keys(self.keys), "min_count": self.min_count, "top": self.top}


class _WholeJob(msgspec.Struct, frozen=True):
    """A job that leaves no key out."""

    @property
    def min_count(self) -> int:
        """Every key occurs once at least."""
        return 1

    @property
    def top(self) -> None:
        """Not only some."""
        return None


class IndexJob(_WholeJob, frozen=True):
    """Which files each key occurs in, and with ``counts`` how often."""

    paths: tuple[bytes | str, ...]
    keys: Keys = Keys()
    counts: bool = False

    @property
    def make(self) -> str:
        """What map tasks write."""
        return "postings"

    @property
    def emit(self) -> str:
        """What reduce tasks write."""
        return "files:counts" if self.counts else "files"

    def describe(self) -> dict[str, object]:
        """What decides the answer beside the input, for the manifest."""
        return {"verb": "index", **describe_keys(self.keys), "counts": self.counts}


class DistinctJob(_WholeJob, frozen=True):
    """How many different keys there are; with ``approx`` about."""

    paths: tuple[bytes | str, ...]
    keys: Keys = Keys()
    approx: bool = False

    @property
    def make(self) -> str:
        """What map tasks write."""
        return "sketch" if self.approx else "counts"

    @property
    def emit(self) -> str:
        """What reduce tasks write."""
        return "nothing"

    def describe(self) -> dict[str, object]:
        """What decides the answer beside the input, for the manifest."""
        return {"verb": "distinct", **describe_keys(self.keys), "approx": self.approx}


Job = CountJob | IndexJob | DistinctJob


def verb_of(keys: Keys) -> str:
    """The verb of the command that counts these keys."""
    return "ngrams" if keys.ngrams or keys.cross_lines else "wordcount"


def describe_keys(keys: Keys) -> dict[str, object]:
    """What decides the keys, for the manifest."""
    about: dict[str, object] = {"tokenizer": keys.tokenizer, "lower": keys.lower}
    if verb_of(keys) == "ngrams":
        about |= {"n": [keys.n_min, keys.n_max], "cross_lines": keys.cross_lines}
    return about


def check_job(job: Job) -> None:
    """Refuses what makes no sense.

    Raises:
        UsageError: naming the value and what to write instead.
    """
    check_keys(job.keys)
    if not 1 <= job.min_count <= COUNT_MAX:
        raise UsageError(f"minimum count out of range: {job.min_count}: write 1 to {COUNT_MAX}")
    if job.top is not None and not 1 <= job.top <= COUNT_MAX:
        raise UsageError(f"top out of range: {job.top}: write 1 to {COUNT_MAX}")


def check_keys(keys: Keys) -> None:
    """Refuses tokenizers and n-grams that do not exist."""
    from mrcore.kernels.ngrams import NGRAMS_MAX

    try:
        keys.tokenizer.encode()
    except UnicodeEncodeError:
        raise UsageError(f"not UTF-8: {keys.tokenizer!r}: write other bytes of a pattern as \\xff") from None
    if keys.tokenizer.startswith(REGEX):
        from mrcore.engine.regex import compile_tokens

        compile_tokens(keys.tokenizer.removeprefix(REGEX))
    elif keys.tokenizer != "lines":
        check_words(keys.tokenizer)
    if not 1 <= keys.n_min <= keys.n_max <= NGRAMS_MAX:
        raise UsageError(f"n-grams out of range: {keys.n_min} to {keys.n_max}: write 1 to {NGRAMS_MAX}, as in 2 or 1-3")
    if keys.ngrams and keys.tokenizer == "lines":
        raise UsageError("n-grams of lines: choose a tokenizer of words")


def check_words(tokenizer: str) -> None:
    """Refuses what is no tokenizer of words."""
    if tokenizer not in TOKENIZERS and not tokenizer.startswith(REGEX):
        known = ", ".join(TOKENIZERS)
        raise UsageError(f"unknown tokenizer: {tokenizer}: choose one of {known}, or regex:PATTERN")
