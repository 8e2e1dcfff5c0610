"""Runs named checks one after the other and prints one line for each."""

import sys
import time

BOUND_SECONDS = 60


class Steps:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def step(self, name, check, *arguments):
        try:
            check(*arguments)
        except Exception as error:  # A failing step must not hide the ones after it.
            self.failed += 1
            print(f"FAIL {name} | {error!r}".replace("\n", " "), flush=True)
        else:
            self.passed += 1
            print(f"ok {name}", flush=True)

    def finish(self):
        print(f"steps: {self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(0 if self.failed == 0 and self.passed > 0 else 1)


def equal(expected, actual, what):
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


def until(what, look):
    """Looks until it finds something true; a broker that never shows it is an error."""
    deadline = time.monotonic() + BOUND_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {BOUND_SECONDS} s for {what}")
        time.sleep(0.02)
    return found
