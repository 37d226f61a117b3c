"""Words that a Korean letter is known to use: how far a reading consists of them, and which slip would explain it.

Known are the usual words of official letters and what the page itself says elsewhere and was read surely: a
document repeats its subject, its units and its names.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from processors.ocr.vocabulary import vocabulary

_RUN = re.compile(r"[가-힣]+")
_ENDINGS = """
    과 팀 장 실 국 관 단 원 서 부 처 별 용 비 건 등 및 의 을 를 이 가 은 는 에 로 와 도 만 인 한 할 중 후 시 내 외
    간 자 률 금 수 안 제 총 각 귀 본 위 당 년 월 일 에서 에게 으로 부터 까지 하여 하고 하는 하니 하오니 하며 합니다
    입니다 됩니다 바랍니다 드립니다 드리니 드리오니 주시기 바라며 에는 에도 과의 와의 으로부터 에게로
"""
MIN_OWN = 3
"""Words of the page itself count from that many syllables on: shorter ones are in too many others."""

_UNKNOWN = 1.0


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Known words; `similar` finds those that differ from a text in one syllable, by the rest of it.

    Words that are known `alone` are no parts of others.
    """

    words: frozenset[str]
    similar: dict[tuple[str, int, str], tuple[str, ...]]
    alone: frozenset[str] = frozenset()

    def share(self, text: str) -> float:
        """Return which share of a text's Hangul syllables known words cover, 0 for a text without any."""
        runs = _RUN.findall(text)
        syllables = sum(map(len, runs))
        return 1 - sum(self._unknown(run) for run in runs) / syllables if syllables else 0.0

    def repaired(self, text: str) -> str:
        """Return a text with one syllable put right where one stroke makes all of its word known; else the text."""
        return _RUN.sub(lambda match: self._repaired(match.group()), text)

    def _unknown(self, run: str) -> float:
        """Return how many syllables no known word covers."""
        if run in self.alone:
            return 0.0
        best = [0.0]
        for end in range(1, len(run) + 1):
            costs = [best[end - 1] + (0.0 if end > 1 and self._ends(run, end - 1, end) else _UNKNOWN)]
            costs += [best[start] for start in range(max(0, end - 8), end - 1) if self._holds(run, start, end)]
            best.append(min(costs))
        return best[-1]

    def _holds(self, run: str, start: int, end: int) -> bool:
        return run[start:end] in self.words or self._ends(run, start, end)

    def _ends(self, run: str, start: int, end: int) -> bool:
        """Endings and single suffixes count behind something only."""
        return start > 0 and run[start:end] in _endings()

    def _repaired(self, run: str) -> str:
        if len(run) < 3 or self._unknown(run) == 0.0:
            return run
        found: set[str] = set()
        for start in range(len(run) - 1):
            for end in range(start + 2, min(len(run), start + 8) + 1):
                for word in self._neighbours(run[start:end]):
                    changed = run[:start] + word + run[end:]
                    if self._unknown(changed) == 0.0:
                        found.add(changed)
        return found.pop() if len(found) == 1 else run

    def _neighbours(self, piece: str) -> Iterable[str]:
        for index in range(len(piece)):
            for word in self.similar.get((piece[:index], len(piece), piece[index + 1 :]), ()):
                if word != piece and one_stroke(word[index], piece[index]):
                    yield word


def lexicon(sure: Iterable[str] = (), again: Iterable[str] = ()) -> Lexicon:
    """Return the lexicon of a page: `sure` are its words that were read well, `again` those that it has twice so."""
    usual = _usual()
    own = {run for text in sure for run in _RUN.findall(text) if len(run) >= MIN_OWN} - usual.words
    alone = frozenset(run for text in again for run in _RUN.findall(text) if len(run) == MIN_OWN - 1)
    return replace(_lexicon(usual.words | own) if own else usual, alone=alone)


@cache
def _endings() -> frozenset[str]:
    return frozenset(_ENDINGS.split())


@cache
def _usual() -> Lexicon:
    return _lexicon(vocabulary())


def _lexicon(words: frozenset[str]) -> Lexicon:
    similar: dict[tuple[str, int, str], list[str]] = {}
    for word in words:
        for index in range(len(word)):
            similar.setdefault((word[:index], len(word), word[index + 1 :]), []).append(word)
    return Lexicon(words, {key: tuple(found) for key, found in similar.items()})


def one_stroke(one: str, other: str) -> bool:
    """Whether two syllables differ in one letter only: 진 and 잔, 과 and 화, 가 and 각."""
    a, b = unicodedata.normalize("NFD", one), unicodedata.normalize("NFD", other)
    if len(a) != len(b):
        shorter, longer = sorted((a, b), key=len)
        return longer.startswith(shorter)
    return sum(x != y for x, y in zip(a, b, strict=True)) == 1
