"""Two PP-OCR models of some ten kilobytes whose letters are made of bars: real loading, real reading, no download.

Run under the interpreter that has Paddle: `python tests/models/tiny_paddle.py FOLDER`. The detector
finds ink. The recogniser's weights are worked out, not learnt: a letter is a ladder of four thin rules whose three
gaps are filled or not, so that a page can be drawn whose text is known (`draw`, which needs no Paddle).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DETECTION = "PP-OCRv5_mobile_det"
RECOGNITION = "korean_PP-OCRv5_mobile_rec"

LETTERS = {"가": (1, 1, 1), "나": (1, 0, 0), "다": (0, 1, 0), "라": (0, 0, 1), "마": (1, 1, 0), "바": (0, 1, 1)}
"""Which gaps of the ladder are filled, from the top."""

_BAR, _RULE, _WIDTH, _LETTER_GAP, _WORD_GAP, _LINE, _MARGIN = 8, 2, 16, 4, 16, 60, 40
_ROWS = ((8, 14), (21, 27), (34, 40))
"""Rows of a line's picture, 48 high, in the middle of each bar."""

_FILL, _THIN, _REACH = 9, 21, 33
_SCORE = 40.0


def draw(lines: list[str], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return a page, RGB, width and height as `size`, with the lines set in ladders."""
    page = np.full((size[1], size[0], 3), 255, np.uint8)
    for row, line in enumerate(lines):
        left, top = _MARGIN, _MARGIN + row * _LINE
        for letter in line:
            if letter == " ":
                left += _WORD_GAP - _LETTER_GAP
                continue
            for bar, filled in enumerate(LETTERS[letter]):
                begin = top + bar * _BAR
                page[begin : begin + (_BAR if filled else _RULE), left : left + _WIDTH] = 0
            end = top + len(LETTERS[letter]) * _BAR
            page[end : end + _RULE, left : left + _WIDTH] = 0
            left += _WIDTH + _LETTER_GAP
    return page


def place_of(lines: list[str], row: int, word: str) -> tuple[int, int, int, int]:
    """Return the box of a word of a line as it is drawn, (left, top, right, bottom) in pixels."""
    before = lines[row].split(" ")[: lines[row].split(" ").index(word)]
    left = _MARGIN + sum(_length(other) + _WORD_GAP for other in before)
    top = _MARGIN + row * _LINE
    return left, top, left + _length(word), top + 3 * _BAR + _RULE


def _length(word: str) -> int:
    return len(word) * (_WIDTH + _LETTER_GAP) - _LETTER_GAP


def build(folder: Path) -> None:
    """Write both models, each into a folder of its name."""
    import paddle
    from paddle import nn
    from paddle.nn import functional

    def _widest(x: Any, rows: int, columns: int) -> Any:
        return functional.max_pool2d(x, [rows, columns], 1, [rows // 2, columns // 2])

    class Detector(nn.Layer):
        """Ink, its gaps within a line filled, then thinned: the core of the line, as real detectors give it."""

        def __init__(self) -> None:
            super().__init__()
            self.ink = nn.Conv2D(3, 1, 1)
            self.ink.weight.set_value(np.full((1, 3, 1, 1), -1 / 3, np.float32))
            self.ink.bias.set_value(np.array([2.3], np.float32))

        def forward(self, x: Any) -> Any:
            spread = _widest(_widest(functional.relu(self.ink(x)), _FILL, 1), 1, _REACH)
            core = -_widest(_widest(-spread, _THIN, 1), 1, _REACH)
            return functional.sigmoid((core - 0.5) * 14.0)

    class Recogniser(nn.Layer):
        """A score for every letter, nothing and the space, from four columns (for the space: twenty)."""

        def __init__(self) -> None:
            super().__init__()
            weight = np.zeros((len(LETTERS) + 1, 3, 48, 4), np.float32)
            bias = np.zeros(len(LETTERS) + 1, np.float32)
            for number, bars in enumerate(LETTERS.values(), 1):
                for there, (first, last) in zip(bars, _ROWS, strict=True):
                    # Ink is (1 - x) / 2: a bar that is there counts from 3/4 on, one that is not up to 1/4.
                    sign, threshold = (1, 0.75) if there else (-1, 0.25)
                    weight[number, :, first:last, :] = -sign * _SCORE / 2 / (3 * (last - first) * 4)
                    bias[number] += sign * _SCORE * (0.5 - threshold)
            self.letters = nn.Conv2D(3, len(LETTERS) + 1, [48, 4], stride=[48, 4])
            self.letters.weight.set_value(weight)
            self.letters.bias.set_value(bias)
            self.space = nn.Conv2D(3, 1, [48, 20], stride=[48, 4], padding=[0, 8])
            # White all around: 1/10 of the score with no ink at all, less than nothing from 1/50 on.
            self.space.weight.set_value(np.full((1, 3, 48, 20), 5 * _SCORE / 2 / (3 * 48 * 20), np.float32))
            self.space.bias.set_value(np.array([0.1 * _SCORE - 2.5 * _SCORE], np.float32))

        def forward(self, x: Any) -> Any:
            scores = paddle.concat([self.letters(x), self.space(x)], axis=1)
            return functional.softmax(scores.squeeze(2).transpose([0, 2, 1]), axis=-1)

    normal = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "scale": "1./255.", "order": "hwc"}
    decode = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
    _save(
        Detector(),
        [None, 3, None, None],
        folder / DETECTION,
        [decode, {"DetResizeForTest": {"resize_long": 960}}, {"NormalizeImage": normal}, {"ToCHWImage": None}],
        {"name": "DBPostProcess", "thresh": 0.3, "box_thresh": 0.5, "max_candidates": 1000, "unclip_ratio": 1.5},
    )
    _save(
        Recogniser(),
        [None, 3, 48, None],
        folder / RECOGNITION,
        [decode, {"RecResizeImg": {"image_shape": [3, 48, 320]}}],
        {"name": "CTCLabelDecode", "character_dict": list(LETTERS)},
    )


def _save(network: Any, shape: list[int | None], folder: Path, steps: list[Any], after: dict[str, Any]) -> None:
    import paddle
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    network.eval()
    spec = paddle.static.InputSpec(shape, "float32", name="x")
    paddle.jit.save(network, str(folder / "inference"), input_spec=[spec])
    about = {"Global": {"model_name": folder.name}, "PreProcess": {"transform_ops": steps}, "PostProcess": after}
    (folder / "inference.yml").write_text(yaml.safe_dump(about, allow_unicode=True))


if __name__ == "__main__":
    build(Path(sys.argv[1]))
