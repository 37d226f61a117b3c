"""Make letters: `python -m tests.letters.make OUT --seed 1 --count 30 --variants clean_pdf,clean_png,scan,photo`.

With --tight, running text is set as justified lines are: less white between letters and words. With --words,
names and subjects come from another stock, which the known words were made without. With --rare, letters take forms
that the usual ones lack.

OUT gets `index.json`, `truth/`, `boxes/` and `inputs/`, as the scorer reads them.
"""

import argparse
import json
import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pypdfium2 as pdfium

from tests.letters.degrade import Boxes, Image, carried, photo, scan
from tests.letters.english import draw_english
from tests.letters.fonts import faces
from tests.letters.other_words import STOCKS, other_words
from tests.letters.private import draw_private
from tests.letters.public import draw_public
from tests.letters.rare_forms import rare_forms
from tests.letters.sheet import Sheet

VARIANTS = ("clean_pdf", "clean_png", "scan", "photo")
DPI = 200
_KINDS = (
    ("domestic_public", draw_public, 0.6),
    ("domestic_private", draw_private, 0.25),
    ("foreign", draw_english, 0.15),
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A generated letter: PDF, truth and true boxes (fractions of the clean page)."""

    name: str
    kind: str
    pdf: bytes
    truth: dict[str, Any]
    boxes: Boxes
    pages: int


def make_letter(seed: int, kind: str | None = None, *, tight: bool = False) -> Letter:
    """Make the letter of a seed; the same seed gives the same letter where the same fonts are installed."""
    rng = random.Random(seed)
    names = [name for name, _, _ in _KINDS]
    chosen = kind or rng.choices(names, [weight for _, _, weight in _KINDS])[0]
    draw = next(draw for name, draw, _ in _KINDS if name == chosen)
    left = rng.uniform(50, 74)
    sheet = Sheet(rng.choice(faces(latin=chosen == "foreign")), rng, left=left, right=rng.uniform(50, 66))
    if chosen == "foreign" and not sheet.face.name.startswith("Nanum"):
        sheet.korean = faces()[0]
    if tight:
        # Chosen apart, so that the letter says the same as the seed's loosely set one.
        setting = random.Random(f"{seed} tight")
        sheet.tracking, sheet.space = setting.uniform(-0.05, 0.0), setting.uniform(0.6, 0.95)
    truth = draw(sheet, rng)
    for key in [key for key in truth if key.startswith("_")]:
        del truth[key]
    truth = {key: value for key, value in truth.items() if value not in ([], {}, None)}
    return Letter(f"gen{seed:05d}", chosen, sheet.finish(), truth, sheet.boxes, sheet.page)


def write_letters(
    out: Path, seeds: Sequence[int], variants: Sequence[str], kind: str | None = None, *, tight: bool = False
) -> None:
    """Write letters and their degraded variants under `out`."""
    for folder in ("inputs", "truth", "boxes"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    index: list[dict[str, Any]] = []
    for seed in seeds:
        letter = make_letter(seed, kind, tight=tight)
        (out / "truth" / f"{letter.name}.json").write_text(json.dumps(letter.truth, ensure_ascii=False, indent=1))
        pages = [] if list(variants) == ["clean_pdf"] else rendered(letter.pdf)
        for variant in variants:
            files, boxes = _write_variant(out, letter, variant, pages)
            place = f"boxes/{letter.name}__{variant}.json"
            (out / place).write_text(json.dumps(boxes, ensure_ascii=False))
            index.append(
                {
                    "doc": letter.name,
                    "variant": variant,
                    "kind": letter.kind,
                    "pages": letter.pages,
                    "files": files,
                    "truth": f"truth/{letter.name}.json",
                    "boxes": place,
                }
            )
    (out / "index.json").write_text(json.dumps(index, indent=1))


def rendered(pdf: bytes) -> list[Image]:
    """Return the pages of a letter as clean pictures, blue first."""
    document = pdfium.PdfDocument(pdf)
    return [np.ascontiguousarray(page.render(scale=DPI / 72).to_numpy()[:, :, :3]) for page in document]


def _write_variant(out: Path, letter: Letter, variant: str, pages: list[Image]) -> tuple[list[str], Boxes]:
    stem = f"inputs/{letter.name}__{variant}"
    if variant == "clean_pdf":
        (out / f"{stem}.pdf").write_bytes(letter.pdf)
        return [f"{stem}.pdf"], letter.boxes
    files: list[str] = []
    if variant == "clean_png":
        for i, page in enumerate(pages):
            files.append(f"{stem}_p{i + 1}.png")
            cv2.imwrite(str(out / files[-1]), page)
        return files, letter.boxes
    degrade = scan if variant == "scan" else photo
    rng = random.Random(f"{letter.name}{variant}")
    maps: list[Any] = []
    before: list[tuple[int, int]] = []
    after: list[tuple[int, int]] = []
    for i, page in enumerate(pages):
        data, matrix = degrade(page, rng)
        files.append(f"{stem}_p{i + 1}.jpg")
        (out / files[-1]).write_bytes(data)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        maps.append(matrix)
        before.append((page.shape[1], page.shape[0]))
        after.append((image.shape[1], image.shape[0]))
    return files, carried(letter.boxes, maps, before, after)


def main() -> None:
    """Read the arguments and write the letters."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--variants", default="clean_pdf")
    parser.add_argument("--kind", choices=[name for name, _, _ in _KINDS])
    parser.add_argument("--tight", action="store_true")
    parser.add_argument("--words", choices=list(STOCKS))
    parser.add_argument("--rare", action="store_true")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    stock = other_words(arguments.words) if arguments.words else nullcontext()
    with stock, rare_forms() if arguments.rare else nullcontext():
        write_letters(arguments.out, seeds, arguments.variants.split(","), arguments.kind, tight=arguments.tight)


if __name__ == "__main__":
    main()
