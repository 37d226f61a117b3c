"""The fault `clock-ahead`: the process that it starts believes that it is another time."""

import os
import subprocess
import sys
import time

import pytest

_TELL = """
import sys
from bench.probe.__main__ import put_clock_off
put_clock_off(int(sys.argv[1]))
from streams.runtime import attempts
import time
print(attempts._now_ms(), time.time())
"""


@pytest.mark.parametrize("off_s", [3600, -3600])
def test_what_the_runtime_writes_as_its_times_is_off_by_an_hour(off_s: int) -> None:
    before = time.time()
    told = subprocess.run(
        [sys.executable, "-c", _TELL, str(off_s)], env=os.environ, stdout=subprocess.PIPE, check=True, text=True
    ).stdout.split()
    after = time.time()
    assert (before + off_s) * 1000 - 1 <= float(told[0]) <= (after + off_s) * 1000
    assert before + off_s <= float(told[1]) <= after + off_s
