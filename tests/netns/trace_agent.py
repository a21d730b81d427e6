"""Runs inside a namespace: traces questions and asks the kernel the same; pickles in and out."""

from __future__ import annotations

import pickle
import sys

from mwan_hook.core.trace import trace
from mwan_hook.core.traced import Answer, Question, Trace
from mwan_hook.system import inquiry


def main() -> None:
    asked: list[Question] = pickle.load(sys.stdin.buffer)
    done: list[tuple[Trace, Answer]] = [(trace(one, inquiry.ground(one)), inquiry.answer(one)) for one in asked]
    pickle.dump(done, sys.stdout.buffer)


if __name__ == "__main__":
    main()
