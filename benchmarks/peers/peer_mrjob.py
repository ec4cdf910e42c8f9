"""Word count in mrjob: peer_mrjob.py wordcount FORMULATION INPUT OUTPUT WORKERS, or --version.

Its local runner starts this file again for every task, with the formulation among the arguments. On Python 3.12 and
later it needs setuptools, for distutils.
"""

import sys
from collections.abc import Iterable, Iterator

import mrjob
from mrjob.job import MRJob
from mrjob.protocol import TextProtocol


class WordCount(MRJob):
    OUTPUT_PROTOCOL = TextProtocol

    def configure_args(self) -> None:
        super().configure_args()
        self.add_passthru_arg("--formulation", choices=("json", "text"))

    def mapper(self, _: None, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            yield word, 1

    def combiner(self, word: str, counts: Iterable[int]) -> Iterator[tuple[str, int]]:
        yield word, sum(counts)

    def reducer(self, word: str, counts: Iterable[int]) -> Iterator[tuple[str, str]]:
        yield word, str(sum(counts))


class WordCountAsText(WordCount):
    """Between its steps there is plain text instead of JSON."""

    INTERNAL_PROTOCOL = TextProtocol

    def mapper(self, _: None, line: str) -> Iterator[tuple[str, str]]:
        for word in line.split():
            yield word, "1"

    def combiner(self, word: str, counts: Iterable[str]) -> Iterator[tuple[str, str]]:
        yield word, str(sum(map(int, counts)))

    reducer = combiner


FORMULATIONS = {"json": WordCount, "text": WordCountAsText}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"mrjob {mrjob.__version__}, local runner")
    elif sys.argv[1] == "wordcount":
        _, formulation, source, target, workers = sys.argv[1:]
        words = [source, "--formulation", formulation, "-r", "local", "--num-cores", workers, "--no-conf", "--quiet"]
        FORMULATIONS[formulation]([*words, "--output-dir", target, "--no-cat-output"]).execute()
    else:
        FORMULATIONS[sys.argv[sys.argv.index("--formulation") + 1]].run()


if __name__ == "__main__":
    main()
