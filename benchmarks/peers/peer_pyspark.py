"""The jobs in PySpark's RDDs: peer_pyspark.py JOB FORMULATION INPUT OUTPUT WORKERS, or --version.

A local master with as many threads as workers. It is given memory in which it need not spill.
"""

import os
import sys
from collections.abc import Callable, Iterator
from operator import add

import pyspark
from pyspark import RDD, SparkConf, SparkContext

DRIVER_MEMORY = "8g"
WORKER_MEMORY = "4g"  # above it a Python worker spills what it groups
FINER = 4  # partitions a worker


def map_words(record: bytes) -> Iterator[tuple[bytes, int]]:
    for word in record.split():
        yield word, 1


def map_numbers(record: bytes) -> tuple[int, float]:
    key, value = record.split(b"\t")
    return int(key), float(value)


def count_words(lines: RDD, partitions: int) -> RDD:
    return lines.flatMap(map_words).reduceByKey(add, partitions).map(lambda pair: b"%b\t%d" % pair)


def group_numbers(lines: RDD, partitions: int) -> RDD:
    return lines.map(map_numbers).groupByKey(partitions).map(statistics_line)


def statistics_line(pair: tuple[int, pyspark.resultiterable.ResultIterable]) -> str:
    key, values = pair
    return f"{key}\t{[len(values), sum(values)]}"


def coarse(job: Callable[[RDD, int], RDD]) -> Callable[[SparkContext, str, int], RDD]:
    """Splits as Spark cuts them, and a partition a worker."""
    return lambda context, source, workers: job(context.textFile(source, workers, use_unicode=False), workers)


def fine(job: Callable[[RDD, int], RDD]) -> Callable[[SparkContext, str, int], RDD]:
    """More and smaller splits and partitions."""
    return lambda context, source, workers: job(
        context.textFile(source, workers * FINER * 2, use_unicode=False), workers * FINER
    )


JOBS = {"wordcount": count_words, "groupby": group_numbers}
FORMULATIONS = {"coarse": coarse, "fine": fine}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"PySpark {pyspark.__version__}, RDD in a local master")
        return
    job, formulation, source, target, workers = sys.argv[1:]
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    conf = SparkConf().setMaster(f"local[{workers}]").setAppName(job).setAll(
        [
            ("spark.driver.memory", DRIVER_MEMORY),
            ("spark.python.worker.memory", WORKER_MEMORY),
            ("spark.local.dir", os.environ.get("TMPDIR", "/tmp")),
            ("spark.ui.enabled", "false"),
        ]
    )
    with SparkContext(conf=conf) as context:
        FORMULATIONS[formulation](JOBS[job])(context, source, int(workers)).saveAsTextFile(target)
        gateway = context._gateway
    gateway.shutdown()  # the machine of Java is waited for, so that its processor time is in the figures
    gateway.proc.stdin.close()
    gateway.proc.wait()


if __name__ == "__main__":
    main()
