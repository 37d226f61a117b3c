"""The approval line of the 결문: titles and names in printed order, 전결/대결 with its date, 협조자."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from processors.llm.gongmun.dates import WrittenDate, find_dates
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import Placed, Read, as_written

_MARK = re.compile(r"[전진]\s?결(?:\s?[·,/]?\s?대\s?결)?|대\s?결(?:\s?[·,/]?\s?전\s?결)?")
_ROLE_LABEL = re.compile(r"^(?:기\s*안\s*자|검\s*토\s*자|결\s*재\s*권\s*자)\s*[:;]?\s*")
_STAR = re.compile(r"^[★☆⊙◎*※⊚@]\s*")
_NAME = re.compile(r"^[가-힣]{2,4}$")
_TITLE = re.compile(
    r"(?:장|관|사|보|원|급|무|기|수|자|감|리|직무대리|담당|팀장|과장|국장|위원|총무|서기|주임|대리|사원|교사|교감|조교|연구관|연구사|지도사|주무|계장|차장|부장|이사|간사|실무원|사무원|행정관|서기관|사무관)$"
)


@dataclass(frozen=True, slots=True)
class Signer:
    """One person of the approval line; x is the middle of the cell."""

    title: Placed
    name: Placed
    mark: Placed | None = None
    date: Read | None = None
    x: float = 0.0


@dataclass(frozen=True, slots=True)
class _Mark:
    mark: Placed | None
    date: Read | None
    x: float


def read_approval(lines: Sequence[Line], cooperators: Sequence[Placed], issued: str | None) -> list[dict[str, Read]]:
    """Read the approval lines, and the values behind 협조자; first is the drafter, last the approver."""
    signers: list[Signer] = []
    marks: list[_Mark] = []
    for line in lines:
        for cell in line.cells:
            found, mark = _cell(cell.text, cell.centre, issued)
            signers += found
            if mark:
                marks.append(mark)
        signers = _merge_split(signers)
    signers = _with_marks(signers, marks)
    trees: list[dict[str, Read]] = []
    for i, signer in enumerate(signers):
        role = "drafter" if i == 0 else "approver" if i == len(signers) - 1 else "reviewer"
        trees.append(_tree(signer, role))
    for value in cooperators:
        trees += [_tree(signer, "cooperator") for signer in _merge_split(_pairs(value, 0.0))]
    return trees


def _tree(signer: Signer, role: str) -> dict[str, Read]:
    whole = signer.name or signer.title
    tree = {"role": Read(role, whole)}
    if signer.title:
        tree["title"] = as_written(signer.title)
    if signer.name:
        tree["name"] = as_written(signer.name.squeeze())
    tree["delegated"] = Read(signer.mark is not None, signer.mark or whole)
    if signer.mark:
        plain = re.sub(r"\s", "", signer.mark.plain)
        both = "대결" in plain and ("전결" in plain or "진결" in plain)
        tree["mark"] = Read("전결·대결" if both else "대결" if "대결" in plain else "전결", signer.mark)
    if signer.date:
        tree["date"] = signer.date
    return tree


def _cell(text: Placed, x: float, issued: str | None) -> tuple[list[Signer], _Mark | None]:
    """Read one cell: a mark and a date are taken out, what remains are titles and names in turn."""
    plain = text.plain
    mark: Placed | None = None
    date: Read | None = None
    spans: list[tuple[int, int]] = []
    dates = find_dates(plain)
    if dates:
        date = _date(text, dates[0], issued)
        spans += [(d.start, d.end) for d in dates]
    for match in _MARK.finditer(plain):
        # 전결 inside a longer word (a name, a title) is no mark.
        before = plain[match.start() - 1] if match.start() else " "
        after = plain[match.end()] if match.end() < len(plain) else " "
        if not ("가" <= before <= "힣" or "가" <= after <= "힣"):
            mark = mark or text.cut(match.start(), match.end())
            spans.append((match.start(), match.end()))
    pieces: list[Signer] = []
    if not spans:
        return _pairs(text, x), None
    spans.sort()
    rest: list[Placed] = []
    position = 0
    for start, end in spans:
        rest.append(text.cut(position, start))
        position = end
    rest.append(text.cut(position))
    rest = [part for part in (r.strip("()[]/·,.") for r in rest) if re.search(r"[가-힣]", part.text)]
    if not rest:
        return [], _Mark(mark, date, x)
    tokens = [token for part in rest for token in _tokens(part)]
    pieces = _pair_tokens(tokens, x)
    if pieces:
        last = pieces[-1]
        pieces[-1] = Signer(last.title, last.name, mark, date, x)
    return pieces, None


def _date(text: Placed, written: WrittenDate, issued: str | None) -> Read | None:
    iso = written.iso(int(issued[:4]) if issued else None)
    return Read(iso, text.cut(written.start, written.end), written.certainty) if iso else None


def _pairs(text: Placed, x: float) -> list[Signer]:
    return _pair_tokens(_tokens(text), x)


def _tokens(text: Placed) -> list[Placed]:
    label = _ROLE_LABEL.match(text.plain)
    if label:
        text = text.cut(label.end())
    tokens = [text.cut(m.start(), m.end()) for m in re.finditer(r"\S+", text.text)]
    cleaned: list[Placed] = []
    for token in tokens:
        star = _STAR.match(token.plain)
        token = (token.cut(star.end()) if star else token).strip("/,.|()[]")
        if re.search(r"[가-힣]", token.text):
            cleaned.append(token)
    return _rejoin(cleaned)


def _rejoin(tokens: Sequence[Placed]) -> list[Placed]:
    """Rejoin single syllables: names such as `이  든` are spread."""
    joined_tokens: list[Placed] = []
    run: list[Placed] = []
    for token in [*tokens, None]:
        if token is not None and len(token.text) == 1:
            run.append(token)
            continue
        if run:
            joined_tokens.append(Placed("".join(t.text for t in run), tuple(g for t in run for g in t.glyphs)))
            run = []
        if token is not None:
            joined_tokens.append(token)
    return joined_tokens


def _pair_tokens(tokens: Sequence[Placed], x: float) -> list[Signer]:
    """Pair titles with the names behind them; a lone token is a title or a name by its look."""
    signers: list[Signer] = []
    empty = Placed("", ())
    i = 0
    while i < len(tokens):
        token = tokens[i]
        following = tokens[i + 1] if i + 1 < len(tokens) else None
        if (
            following is not None
            and _NAME.match(following.text)
            and not (
                _NAME.match(token.text)
                and not _TITLE.search(token.text)
                and _TITLE.search(following.text)
                and i + 2 < len(tokens)
            )
        ):
            signers.append(Signer(token, following, x=x))
            i += 2
        elif (
            following is not None
            and not _NAME.match(following.text)
            and i + 2 < len(tokens)
            and _NAME.match(tokens[i + 2].text)
        ):
            title = Placed(f"{token.text} {following.text}", (*token.glyphs, None, *following.glyphs))
            signers.append(Signer(title, tokens[i + 2], x=x))
            i += 3
        else:
            signers.append(
                Signer(token, empty, x=x)
                if _TITLE.search(token.text) or len(token.text) > 4
                else Signer(empty, token, x=x)
            )
            i += 1
    return signers


def _merge_split(signers: Sequence[Signer]) -> list[Signer]:
    """Bring a title and a name together that a wide gap had parted."""
    merged: list[Signer] = []
    for signer in signers:
        lone = signer.name or signer.title
        single = not (signer.name and signer.title)
        if merged and merged[-1].title and not merged[-1].name and single and _NAME.match(lone.text):
            before = merged[-1]
            x = (before.x + signer.x) / 2
            merged[-1] = Signer(before.title, lone, signer.mark or before.mark, signer.date or before.date, x)
        else:
            merged.append(signer)
    return merged


def _with_marks(signers: Sequence[Signer], marks: Sequence[_Mark]) -> list[Signer]:
    """Give each mark that stands above the line to the person below it."""
    result = list(signers)
    for mark in marks:
        if not result:
            break
        i = min(range(len(result)), key=lambda k: abs(result[k].x - mark.x))
        owner = result[i]
        both = mark.mark if not owner.mark else owner.mark
        result[i] = Signer(owner.title, owner.name, both, owner.date or mark.date, owner.x)
    return result
