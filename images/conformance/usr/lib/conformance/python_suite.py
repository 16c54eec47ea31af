"""Runs modules of Python's own test suite, or others written as it is, and tells every test's outcome.

    python_suite.py test.test_posix test.test_signal.PosixTests message_queues …

Each has a process, a session, a controlling terminal and a directory of its own. What
the tests print goes nowhere. telling.py says what is told.
"""

import os
import subprocess
import sys
import unittest

from telling import apart, tell

# Longer than the slowest takes on an emulated processor.
TIMEOUT_S = 240


class Result(unittest.TestResult):
    """Tells each outcome as it comes."""

    def __init__(self, module, out):
        super().__init__()
        self.module, self.out = module, out
        self.is_any_told = False

    def tell(self, outcome, test, reason=""):
        name = test.id().removeprefix(self.module + ".")
        tell(self.out, outcome, self.module, name, reason)
        self.is_any_told = True

    def addSuccess(self, test):
        self.tell("passed", test)

    def addSkip(self, test, reason):
        self.tell("skipped", test, reason)

    def addError(self, test, error):
        self.tell("failed", test, f"{error[0].__name__}: {error[1]}")

    addFailure = addError

    def addExpectedFailure(self, test, error):
        self.tell("passed", test)

    def addUnexpectedSuccess(self, test):
        self.tell("failed", test, "it was expected to fail")

    def addSubTest(self, test, subtest, error):
        # A sub test that fails is told; its test then has no outcome of its own.
        if error is not None:
            self.tell("failed", subtest, f"{error[0].__name__}: {error[1]}")


def run(module):
    """Runs one module in this process, and says whether it was run to its end."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    result = Result(module, out)
    try:
        unittest.defaultTestLoader.loadTestsFromName(module).run(result)
    except unittest.SkipTest as reason:
        tell(out, "skipped", module, "-", reason)
    except BaseException as error:  # pylint: disable=broad-except
        tell(out, "broken", module, "-", f"{type(error).__name__}: {error}")
    else:
        if not result.is_any_told:
            tell(out, "broken", module, "-", "it has no tests")


def run_apart(module):
    """Runs one module in a process of its own."""
    command = [sys.executable, __file__, "--here", module]
    nothing = subprocess.DEVNULL
    with apart(command, stdout=sys.stdout, stderr=nothing) as (process, _):
        try:
            status = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            tell(sys.stdout, "broken", module, "-", f"not done after {TIMEOUT_S} s")
            return
    if status < 0:
        tell(sys.stdout, "broken", module, "-", f"ended by signal {-status}")
    elif status > 0:
        tell(sys.stdout, "broken", module, "-", f"ended with status {status}")


def main(words):
    if words[0] == "--here":
        run(words[1])
        return
    for module in words:
        run_apart(module)


if __name__ == "__main__":
    main(sys.argv[1:])
