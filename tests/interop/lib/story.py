"""Tells a scenario step by step: each step says in words what is expected, and a step that fails does not end the story.

`Story.step` wraps one assertion-bearing block; `Story.end` prints the count that `run` reads and gives the exit code.
"""

import contextlib
import time
import traceback


class Unmet(AssertionError):
    """What was expected did not happen; the message says both."""


def expect(truth, words, saw=None):
    if not truth:
        raise Unmet(f"expected {words}" + ("" if saw is None else f"; saw {saw!r}"[:600]))


def equal(saw, wanted, words):
    expect(saw == wanted, f"{words} to be {wanted!r}", saw)


def eventually(words, look, seconds=15, every=0.05):
    """What `look` answers once it is true; asked again and again, for real servers settle in their own time."""
    deadline, last = time.monotonic() + seconds, None
    while True:
        last = look()
        if last:
            return last
        if time.monotonic() > deadline:
            raise Unmet(f"expected within {seconds} s that {words}; saw {last!r}")
        time.sleep(every)


class Story:
    def __init__(self, title):
        self.title, self.passed, self.failed, self.skipped = title, 0, 0, 0
        print(f"# {title}", flush=True)

    @contextlib.contextmanager
    def step(self, words):
        begun = time.monotonic()
        try:
            yield
        except Exception as why:  # a story goes on to its next step, whatever happened in this one
            self.failed += 1
            print(f"FAIL {words}\n     {type(why).__name__}: {why}", flush=True)
            if not isinstance(why, Unmet):
                print("     " + traceback.format_exc().strip().splitlines()[-3].strip(), flush=True)
        else:
            self.passed += 1
            print(f"ok   {words} ({(time.monotonic() - begun) * 1000:.0f} ms)", flush=True)

    def skip(self, words, why):
        self.skipped += 1
        print(f"skip {words}: {why}", flush=True)

    def end(self):
        more = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.title}: {self.passed} passed, {self.failed} failed{more}", flush=True)
        return 1 if self.failed or not self.passed else 0
