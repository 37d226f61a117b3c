"""From pixels of a prepared image back to the page as supplied: 3x3 matrices on (x, y, 1).

A matrix is named for where it leads: `to_page` takes a point of the prepared image to the page.
"""

import math

import numpy as np
import numpy.typing as npt

from schemas.pages import Box

Matrix = npt.NDArray[np.float64]
PixelBox = tuple[float, float, float, float]


def identity() -> Matrix:
    """Return the matrix that moves nothing."""
    return np.eye(3)


def scaling(factor_x: float, factor_y: float) -> Matrix:
    """Return the matrix that multiplies x and y."""
    return np.diag([factor_x, factor_y, 1.0])


def quarter_turn(width: int, height: int, turns: int) -> Matrix:
    """Return where the points of a `width` x `height` image go when it is turned anti-clockwise by quarters."""
    match turns % 4:
        case 1:
            rows = [[0, 1, 0], [-1, 0, width], [0, 0, 1]]
        case 2:
            rows = [[-1, 0, width], [0, -1, height], [0, 0, 1]]
        case 3:
            rows = [[0, -1, height], [1, 0, 0], [0, 0, 1]]
        case _:
            rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    return np.array(rows, dtype=np.float64)


def rotation(width: int, height: int, degrees: float) -> Matrix:
    """Return the matrix that turns an image anti-clockwise about its centre, its size kept."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    # Pixel centres lie at whole numbers for the warping routines, hence the half pixel.
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return np.array(
        [[cos, sin, cx - cos * cx - sin * cy], [-sin, cos, cy + sin * cx - cos * cy], [0, 0, 1]], dtype=np.float64
    )


def inverse(matrix: Matrix) -> Matrix:
    """Return the matrix that undoes `matrix`."""
    return np.linalg.inv(matrix).astype(np.float64)


def map_box(matrix: Matrix, box: PixelBox) -> PixelBox:
    """Return the upright box around the four corners of `box`, each moved by `matrix`."""
    x0, y0, x1, y1 = box
    corners = matrix @ np.array([[x0, x1, x1, x0], [y0, y0, y1, y1], [1, 1, 1, 1]], dtype=np.float64)
    xs, ys = corners[0] / corners[2], corners[1] / corners[2]
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def fractions(box: PixelBox, width: float, height: float) -> Box:
    """Return a pixel box as fractions of the page, cut at its edges."""
    x0, y0, x1, y1 = box
    return _unit(x0 / width), _unit(y0 / height), _unit(x1 / width), _unit(y1 / height)


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
