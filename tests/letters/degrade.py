"""From a clean page image to a scan or a phone photo, with the boxes carried along."""

import random
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Boxes = dict[str, list[list[dict[str, Any]]]]


def scan(page: Image, rng: random.Random) -> tuple[bytes, NDArray[np.float64]]:
    """Return a JPEG of a skewed, noisy, unevenly lit scan and the 3x3 map from clean to scanned pixels."""
    height, width = page.shape[:2]
    angle = rng.uniform(-2.2, 2.2)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, rng.uniform(0.97, 1.0))
    matrix = np.vstack([turn, [0, 0, 1]])
    image = cv2.warpPerspective(page, matrix, (width, height), borderValue=(225, 226, 228), flags=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 0.95))
    noise = np.random.default_rng(rng.randrange(2**31)).normal(0, rng.uniform(3, 8), image.shape)
    shade = np.linspace(rng.uniform(0.9, 1.0), 1.0, width)[None, :, None]
    image = np.clip(image * shade + noise, 0, 255).astype(np.uint8)
    for _ in range(rng.randint(5, 40)):
        cv2.circle(image, (rng.randrange(width), rng.randrange(height)), rng.randint(1, 2), (40, 40, 40), -1)
    if rng.random() < 0.4:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return _jpeg(image, rng.randint(45, 80)), matrix


def photo(page: Image, rng: random.Random) -> tuple[bytes, NDArray[np.float64]]:
    """Return a JPEG of a phone photo (perspective, uneven light, background) and the map to it."""
    height, width = page.shape[:2]
    margin = 0.06
    out_width, out_height = int(width * 1.1), int(height * 1.08)
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    jitter = np.array([[rng.uniform(0, 0.055) * width, rng.uniform(0, 0.04) * height] for _ in range(4)], np.float32)
    base = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) + np.array(
        [margin * width * 0.6, margin * height * 0.5], np.float32
    )
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    target = (base + jitter * signs).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(source, target).astype(np.float64)
    desk = np.full(
        (out_height, out_width, 3), (rng.randint(60, 120), rng.randint(70, 130), rng.randint(80, 150)), np.uint8
    )
    image = cv2.warpPerspective(
        page, matrix, (out_width, out_height), dst=desk, borderMode=cv2.BORDER_TRANSPARENT, flags=cv2.INTER_AREA
    )
    y, x = np.mgrid[0:out_height, 0:out_width].astype(np.float32)
    centre_x, centre_y = rng.uniform(0.2, 0.8) * out_width, rng.uniform(0.2, 0.8) * out_height
    distance = np.hypot(x - centre_x, y - centre_y) / np.hypot(out_width, out_height)
    light = (rng.uniform(0.92, 1.02) - distance * rng.uniform(0.25, 0.5))[:, :, None]
    tint = np.array([rng.uniform(0.86, 0.98), rng.uniform(0.94, 1.0), 1.0], np.float32)
    noise = np.random.default_rng(rng.randrange(2**31)).normal(0, rng.uniform(2, 6), image.shape)
    image = np.clip(image * light * tint + noise, 0, 255).astype(np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.9))
    return _jpeg(image, rng.randint(60, 88)), matrix


def carried(
    boxes: Boxes, maps: list[NDArray[np.float64]], before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> Boxes:
    """Return the boxes on the degraded pages; sizes are (width, height) in pixels, one a page."""

    def move(part: dict[str, Any]) -> dict[str, Any]:
        i = part["page"] - 1
        x0, y0, x1, y1 = part["bbox"]
        width, height = before[i]
        corners = np.array(
            [
                [
                    [x0 * width, y0 * height],
                    [x1 * width, y0 * height],
                    [x1 * width, y1 * height],
                    [x0 * width, y1 * height],
                ]
            ],
            np.float64,
        )
        moved = cv2.perspectiveTransform(corners, maps[i])[0]
        new_width, new_height = after[i]
        box = [
            moved[:, 0].min() / new_width,
            moved[:, 1].min() / new_height,
            moved[:, 0].max() / new_width,
            moved[:, 1].max() / new_height,
        ]
        return {**part, "bbox": [round(float(value), 5) for value in box]}

    return {pointer: [[move(part) for part in parts] for parts in found] for pointer, found in boxes.items()}


def _jpeg(image: Image, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()
