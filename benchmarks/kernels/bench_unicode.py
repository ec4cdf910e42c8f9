"""Unicode tokens: GB/s of expanding generated text, and a digest of the output.

Plain ASCII, German (some letters of two bytes), Russian (all of two), Chinese (three) and a
mixture; the text is the same in every run.

Run: pytest -o addopts= --import-mode=importlib -s benchmarks/kernels/bench_unicode.py
"""
import random

import pytest
import xxhash

from mrcore.kernels.unicode import UnicodeExpander

TEXT_BYTES = 4 << 20
OUT_BYTES = 1 << 20

LATIN, CYRILLIC = "etaoinshrdlucmfwypvbgkETAOIN", "оеаинтсрвлкмдпуяызьбгОЕАИН"
SCRIPTS = {
    "ascii": (LATIN, [" ", " ", ", ", ".\n"]),
    "german": (LATIN + "äöüß", [" ", " ", ", ", ".\n"]),
    "russian": (CYRILLIC, [" ", " ", ", ", ".\n"]),
    "chinese": ("".join(map(chr, range(0x4E00, 0x6E00))), ["\uff0c", "\u3002", "\u3001", "\n"]),
    "mixed": (LATIN * 9 + CYRILLIC + "नमस्तेمرحبا中文字", [" ", " ", " — ", "🙂 ", "\n"]),
}


def make_text(letters: str, gaps: list[str]) -> bytes:
    draw = random.Random(16)
    words = ["".join(draw.choices(letters, k=draw.randint(1, 9))) for _ in range(5000)]
    page = "".join(word + draw.choice(gaps) for word in draw.choices(words, k=40_000)).encode()
    return (page * (TEXT_BYTES // len(page) + 1))[:TEXT_BYTES]


def expanded(expander: UnicodeExpander, text: bytes, out: bytearray) -> str:
    digest, at = xxhash.xxh3_64(), 0
    with memoryview(out) as view:
        while at < len(text):
            at, written = expander.expand(text, at, len(text), True, out)
            digest.update(view[:written])
    return digest.hexdigest()


@pytest.mark.parametrize("fold", [False, True], ids=["as it is", "fold"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_expand(benchmark, script: str, fold: bool) -> None:
    benchmark.group = f"unicode tokens{' folded' if fold else ''}"
    text = make_text(*SCRIPTS[script])
    call = (UnicodeExpander(fold), text, bytearray(OUT_BYTES))
    digest = benchmark.pedantic(expanded, call, rounds=5, warmup_rounds=1)
    benchmark.extra_info["digest"] = digest
    if benchmark.stats:  # absent under --benchmark-disable
        benchmark.extra_info["GB/s"] = round(len(text) / benchmark.stats.stats.min / 1e9, 2)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")
