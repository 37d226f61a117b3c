"""`./gateway bench letters`: what reading costs, and what each of its steps is worth.

The part `speed` reads a page with a text layer, and a scan of three pages on two cores. The letters are generated
ones, read as the stages' child processes read them, without Kafka. Beside the wall time stands the CPU time, which a
busy machine inflates less. The part `steps` (some twenty minutes) tells the share of letters misread after each step.
"""

import os
import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from bench.letters_steps import measure_steps
from bench.options import chosen_parts, options_of
from bench.report import Report
from processors.llm.gongmun.child import extract
from processors.ocr.child import open_document, read_page
from processors.ocr.documents import InputFile
from processors.ocr.limits import Limits, ReadOptions
from schemas.pages import Document, Page, encode_document
from tests.letters.degrade import scan
from tests.letters.make import make_letter, rendered

SEEDS = (1, 2, 3, 4, 5, 6)
PAGES = 3
CORES = 2
ROUNDS = 3
Times = tuple[float, float]
"""Seconds on the wall and of CPU."""


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("letters")
    report = Report("Reading letters")
    for part in chosen_parts(options.part, PARTS):
        PARTS[part](report, options.quick)
    report.show(options.json)
    return 0


def measure_speed(report: Report, quick: bool) -> None:
    """Add to the report what pages cost, and hold that against the aims."""
    report.add("load_before", os.getloadavg()[0])
    with tempfile.TemporaryDirectory(prefix="gateway-bench-letters-") as name:
        texts = [_text_page(Path(name), seed) for seed in SEEDS[: 2 if quick else None]]
        report.add("text_page_p50_s", median(wall for wall, _ in texts))
        report.add("text_page_worst_s", max(wall for wall, _ in texts))
        report.add("text_page_cpu_p50_s", median(cpu for _, cpu in texts))
        files = _scan(Path(name))
        # As the gateway's own children have it: a page is one core's work.
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
            list(pool.map(_read, [files] * CORES, range(1, CORES + 1)))  # loads the models
            rounds = [_three_pages(pool, files) for _ in range(1 if quick else ROUNDS)]
    report.add("scan_of_3_pages_best_s", min(wall for wall, _ in rounds))
    report.add("scan_of_3_pages_p50_s", median(wall for wall, _ in rounds))
    report.add("scan_page_cpu_p50_s", median(cpu for _, pages in rounds for cpu in pages))
    report.add("load_after", os.getloadavg()[0])
    report.aim("text_page_p50_s", 0.15)
    report.aim("scan_of_3_pages_best_s", 7)


PARTS = {"speed": measure_speed, "steps": measure_steps}


def _text_page(folder: Path, seed: int) -> Times:
    """Read the pages of a letter with a text layer, rules included; return the times a page, once it is warm."""
    letter = make_letter(seed, "domestic_public")
    file = folder / f"text-{seed}.pdf"
    file.write_bytes(letter.pdf)
    files = (InputFile(str(file), "application/pdf", file.name),)
    _read_and_extract(files)
    wall, cpu = time.perf_counter(), time.process_time()
    count = _read_and_extract(files)
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def _read_and_extract(files: tuple[InputFile, ...]) -> int:
    count = open_document(files, Limits())
    pages = tuple(read_page(files, Limits(), number, ReadOptions())[0] for number in range(1, count + 1))
    extract(encode_document(Document(pages, "text layer")))
    return count


def _scan(folder: Path) -> tuple[InputFile, ...]:
    """Make a document of scans, each of another letter's first page."""
    files: list[InputFile] = []
    for seed in SEEDS[:PAGES]:
        data, _ = scan(rendered(make_letter(seed, "domestic_public").pdf)[0], random.Random(seed))
        file = folder / f"scan-{seed}.jpg"
        file.write_bytes(data)
        files.append(InputFile(str(file), "image/jpeg", file.name))
    return tuple(files)


def _three_pages(pool: ProcessPoolExecutor, files: tuple[InputFile, ...]) -> tuple[float, list[float]]:
    """Return the seconds until the scan's fields are there, and the CPU seconds of each page."""
    started = time.perf_counter()
    read = list(pool.map(_read, [files] * PAGES, range(1, PAGES + 1)))
    extract(encode_document(Document(tuple(page for page, _ in read), "tesseract")))
    return time.perf_counter() - started, [cpu for _, cpu in read]


def _read(files: tuple[InputFile, ...], number: int) -> tuple[Page, float]:
    started = time.process_time()
    page, _ = read_page(files, Limits(), number, ReadOptions())
    return page, time.process_time() - started


if __name__ == "__main__":
    raise SystemExit(main())
