"""What a file is, by its first bytes: `schemas.media`, under the name that ingress knows it by."""

from schemas.media import HWP, HWPX, INPUT_KINDS, PDF, SNIFF_BYTES, TEXT, UNKNOWN, ZIP, input_kind, media_type_of, sniff

__all__ = [
    "HWP",
    "HWPX",
    "INPUT_KINDS",
    "PDF",
    "SNIFF_BYTES",
    "TEXT",
    "UNKNOWN",
    "ZIP",
    "input_kind",
    "media_type_of",
    "sniff",
]
