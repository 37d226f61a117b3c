"""PDF files put together by hand, for what no library would write: broken, locked, endless."""

from collections.abc import Iterable


def pdf(objects: Iterable[bytes], trailer: bytes = b"") -> bytes:
    """Number the objects from 1 (the first is the catalogue) and put the cross-reference table behind them."""
    out = bytearray(b"%PDF-1.4\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (len(offsets) + 1, trailer, start)
    return bytes(out)


def pages_pdf(count: int, media_box: bytes = b"0 0 595 842") -> bytes:
    """Return a PDF of blank pages."""
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(count))
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [%b] >>" % media_box
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, count),
            *(page for _ in range(count)),
        ]
    )


def text_pdf(text: str, *, rotate: int = 0) -> bytes:
    """Return a PDF with one page that says `text` (Latin letters) in Helvetica, 24 points, at (72, 700)."""
    content = b"BT /F1 24 Tf 72 700 Td (%b) Tj ET" % text.encode("latin-1")
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Rotate %d /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>" % rotate,
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]
    )


def locked_pdf() -> bytes:
    """Return a PDF that no empty password opens: its password entries are those of no password at all."""
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
            b"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <%b> /U <%b> >>" % (b"5a" * 32, b"a5" * 32),
        ],
        b"/Encrypt 4 0 R /ID [<%b> <%b>]" % (b"00" * 16, b"00" * 16),
    )


def mapped_text_pdf(content: bytes, ranges: bytes, *, size: tuple[int, int], font: bytes = b"Helvetica") -> bytes:
    """Return a page whose content is written in the font F1; `ranges` tells which Unicode its codes are."""
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        b"1 begincodespacerange <00> <ff> endcodespacerange\n%b\nendcmap end end" % ranges
    )
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>" % size,
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /%b /ToUnicode 6 0 R >>" % font,
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(cmap), cmap),
        ]
    )
