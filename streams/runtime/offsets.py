"""Which offsets of a partition are finished, and how far the group may commit. Pure.

Only what is contiguous is committed: everything below the committed offset is finished. What is
known above it travels in the commit's metadata, so that it survives the process: the attempts begun
at unfinished records, the records finished above the first unfinished one, and whether the partition
is in use. A commit that says "in use" and is found at an assignment means that its process died.
"""

import base64
from collections.abc import Collection
from dataclasses import dataclass, field

MAX_UNFINISHED = 64
"""Records of one partition that are decoded and waiting for their turns or in work."""

MAX_SPAN = 4096
"""How far reading may go beyond the first unfinished record; bounds the metadata, see `encode_note`."""

MAX_ATTEMPTS = 255

_MAX_NOTED = 512

_VERSION = 1
_IN_USE = 1


@dataclass(frozen=True, slots=True)
class Note:
    """What a commit's metadata says; offsets are absolute."""

    in_use: bool = False
    attempts: dict[int, int] = field(default_factory=dict[int, int])
    finished: frozenset[int] = frozenset()


class PartitionOffsets:
    """The offsets of one assigned partition, from the first that is read to the last.

    `next_offset` is where reading starts; `note` what the last owner left. Offsets are admitted in
    rising order and may be finished in any.
    """

    def __init__(self, next_offset: int, note: Note | None = None) -> None:
        note = note or Note()
        self._next = next_offset
        self._unfinished: dict[int, int] = {}  # offset: attempts begun; in rising order
        self._parked: set[int] = set()
        self._finished = set(note.finished)
        self._attempts_before = dict(note.attempts)
        self._suspect_below = next_offset + MAX_SPAN if note.in_use else next_offset

    @property
    def committable(self) -> int:
        """The lowest offset that is not finished: everything below it is."""
        return next(iter(self._unfinished), self._next)

    @property
    def unfinished(self) -> int:
        """How many admitted records are not finished."""
        return len(self._unfinished)

    @property
    def has_room(self) -> bool:
        """Whether another record may be admitted."""
        in_window = len(self._unfinished) - len(self._parked)
        return in_window < MAX_UNFINISHED and self._next - self.committable < MAX_SPAN

    def admit(self, offset: int) -> bool:
        """Take a record that was read; False when it is finished or known already."""
        if offset < self._next:
            return False
        self._next = offset + 1
        if offset in self._finished:
            return False
        self._unfinished[offset] = self._attempts_before.pop(offset, 0)
        return True

    def park(self, offset: int) -> None:
        """An unfinished record waits for something that is down: it takes no place in the window meanwhile."""
        if offset in self._unfinished:
            self._parked.add(offset)

    def unpark(self, offset: int) -> None:
        """A record that was parked waits for its turn again."""
        self._parked.discard(offset)

    def is_suspect(self, offset: int) -> bool:
        """Tell whether the record may have been in work when the last owner died."""
        return offset < self._suspect_below

    def is_unfinished(self, offset: int) -> bool:
        """Tell whether a record was admitted and is not finished."""
        return offset in self._unfinished

    def attempts(self, offset: int) -> int:
        """Attempts begun at an unfinished record; 0 for one that is not."""
        return self._unfinished.get(offset, 0)

    def begin(self, offset: int) -> int:
        """Count an attempt and return its number, from 1."""
        attempt = min(self._unfinished[offset] + 1, MAX_ATTEMPTS)
        self._unfinished[offset] = attempt
        return attempt

    def take_back(self, offset: int) -> None:
        """Uncount an attempt that was broken off through no fault of the record."""
        if self._unfinished.get(offset, 0) > 0:
            self._unfinished[offset] -= 1

    def finish(self, offset: int) -> None:
        """Mark a record as finished; repeats are harmless."""
        if self._unfinished.pop(offset, None) is not None:
            self._parked.discard(offset)
            self._finished.add(offset)

    def advance(self, committed: int) -> list[int]:
        """Take note that another owner committed `committed`; return the offsets that it finished for us."""
        done = [offset for offset in self._unfinished if offset < committed]
        for offset in done:
            del self._unfinished[offset]
            self._parked.discard(offset)
        self._next = max(self._next, committed)
        return done

    def note(self, *, in_use: bool, without: Collection[int] = ()) -> Note:
        """Return what to say beside the committable offset; the last attempts at `without` do not count."""
        lowest = self.committable
        self._finished = {offset for offset in self._finished if offset > lowest}
        counted = {offset: attempts - (offset in without) for offset, attempts in self._unfinished.items() if attempts}
        begun = {offset: attempts for offset, attempts in counted.items() if attempts}
        before = {offset: attempts for offset, attempts in self._attempts_before.items() if offset >= lowest}
        return Note(in_use, before | begun, frozenset(self._finished))


def encode_note(committed: int, note: Note) -> str:
    """Encode a note as text, given the offset that it is committed with; at most 4 KiB.

    Bytes before base64: version, flags, then a bitmap of finished offsets (length as 2 bytes) and two
    bytes of distance and one of attempts for each begun record, of at most 512: the window's, and what waits for
    something that is down after an attempt that failed. So it stays below 4 + 512 + 512 * 3 bytes; what lies
    outside is left out, which costs a repeat or an attempt.
    """
    bitmap = bytearray()
    for offset in sorted(note.finished):
        place = offset - committed
        if 0 <= place < MAX_SPAN:
            bitmap.extend(bytes(place // 8 + 1 - len(bitmap)))
            bitmap[place // 8] |= 1 << place % 8
    out = bytearray((_VERSION, _IN_USE if note.in_use else 0))
    out += len(bitmap).to_bytes(2, "big") + bitmap
    near = sorted((o - committed, n) for o, n in note.attempts.items() if 0 <= o - committed < MAX_SPAN)
    for place, attempts in near[:_MAX_NOTED]:
        out += place.to_bytes(2, "big") + min(attempts, MAX_ATTEMPTS).to_bytes(1, "big")
    return base64.b64encode(out).decode()


def decode_note(committed: int, metadata: str) -> Note:
    """Decode what `encode_note` gave; metadata of another making is an empty note."""
    try:
        raw = base64.b64decode(metadata, validate=True)
    except ValueError:
        return Note()
    if len(raw) < 4 or raw[0] != _VERSION:
        return Note()
    length = int.from_bytes(raw[2:4], "big")
    bitmap, rest = raw[4 : 4 + length], raw[4 + length :]
    finished = (committed + 8 * i + bit for i, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1)
    entries = (rest[i : i + 3] for i in range(0, len(rest) - 2, 3))
    attempts = {committed + int.from_bytes(entry[:2], "big"): entry[2] for entry in entries}
    return Note(bool(raw[1] & _IN_USE), attempts, frozenset(finished))
