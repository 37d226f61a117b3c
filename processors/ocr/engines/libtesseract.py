"""Tesseract's C interface, as far as it is used here: models stay loaded from one picture to the next.

Declarations as in `tesseract/capi.h` of version 5. A crash in here ends the process: call it where that is expected.
"""

import atexit
import ctypes
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from processors.ocr.page_source import Pixels

_LIBRARY = "libtesseract.so.5"
_LSTM_ONLY = 1
_SILENT = 6

_HANDLE, _TEXT, _NUMBER = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TessVersion": (_TEXT, ()),
    "TessBaseAPICreate": (_HANDLE, ()),
    "TessBaseAPIDelete": (None, (_HANDLE,)),
    "TessBaseAPIInit2": (_NUMBER, (_HANDLE, _TEXT, _TEXT, _NUMBER)),
    "TessBaseAPISetVariable": (_NUMBER, (_HANDLE, _TEXT, _TEXT)),
    "TessBaseAPISetPageSegMode": (None, (_HANDLE, _NUMBER)),
    "TessBaseAPISetImage": (None, (_HANDLE, ctypes.c_void_p, *[_NUMBER] * 4)),
    "TessBaseAPIRecognize": (_NUMBER, (_HANDLE, _HANDLE)),
    "TessBaseAPIGetTsvText": (_HANDLE, (_HANDLE, _NUMBER)),
    "TessBaseAPIClear": (None, (_HANDLE,)),
    "TessDeleteText": (None, (_HANDLE,)),
    "setMsgSeverity": (_NUMBER, (_NUMBER,)),
    "TessMonitorCreate": (_HANDLE, ()),
    "TessMonitorDelete": (None, (_HANDLE,)),
    "TessMonitorSetDeadlineMSecs": (None, (_HANDLE, _NUMBER)),
}


class Recognizer:
    """Models of some languages, loaded. Raises OSError without the library, LookupError without the models."""

    def __init__(self, languages: str) -> None:
        self._call = _functions()
        self._handle = self._call["TessBaseAPICreate"]()
        # At the end of the process the library complains about models that nobody gave back.
        atexit.register(self._call["TessBaseAPIDelete"], self._handle)
        # Nothing it says belongs into our log; it is said before the models are looked for, too.
        self._set("debug_file", "/dev/null")
        if self._call["TessBaseAPIInit2"](self._handle, None, languages.encode(), _LSTM_ONLY) != 0:
            raise LookupError(f"no models for {languages}")

    def table(self, pixels: Pixels, segmentation: int, dpi: int, limit_s: float) -> str:
        """Read a grey or RGB picture; return Tesseract's TSV without its heading.

        Raises TimeoutError when the words took longer than the limit, RuntimeError when it failed. The layout's
        analysis, which comes first, is not interrupted.
        """
        self._set("user_defined_dpi", str(dpi))
        self._call["TessBaseAPISetPageSegMode"](self._handle, segmentation)
        picture = np.ascontiguousarray(pixels)
        height, width = picture.shape[:2]
        channels = 1 if picture.ndim == 2 else picture.shape[2]
        # The library copies the picture.
        self._call["TessBaseAPISetImage"](
            self._handle, picture.ctypes.data, width, height, channels, picture.strides[0]
        )
        monitor = self._call["TessMonitorCreate"]()
        try:
            self._call["TessMonitorSetDeadlineMSecs"](monitor, max(1, round(limit_s * 1000)))
            if self._call["TessBaseAPIRecognize"](self._handle, monitor) != 0:
                raise TimeoutError
            text = self._call["TessBaseAPIGetTsvText"](self._handle, 0)
            if not text:
                raise RuntimeError("no table")
            try:
                return ctypes.string_at(text).decode("utf-8", "replace")
            finally:
                self._call["TessDeleteText"](text)
        finally:
            self._call["TessMonitorDelete"](monitor)
            self._call["TessBaseAPIClear"](self._handle)

    def _set(self, name: str, value: str) -> None:
        self._call["TessBaseAPISetVariable"](self._handle, name.encode(), value.encode())


def version() -> str:
    """Return the library's version, such as `5.3.0`. Raises OSError without it."""
    return _functions()["TessVersion"]().decode()


@cache
def _functions() -> dict[str, Callable[..., Any]]:
    # Read by the library when it is loaded. More threads make it slower on a page (10.9 s against 2.3), and pages
    # already run side by side.
    os.environ["OMP_THREAD_LIMIT"] = "1"
    library = ctypes.CDLL(_LIBRARY)
    found: dict[str, Callable[..., Any]] = {}
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
        found[name] = function
    # What Leptonica beneath it has to say of an odd box is for nobody's log.
    found["setMsgSeverity"](_SILENT)
    return found
