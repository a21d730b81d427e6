"""Runs inside a namespace: traces questions and asks the kernel the same; pickles in and out."""

from __future__ import annotations

import pickle
import sys

from mwan_hook.commands.trace import ask_both
from mwan_hook.kernel.question import Question


def main() -> None:
    asked: list[Question] = pickle.load(sys.stdin.buffer)
    pickle.dump([ask_both(one) for one in asked], sys.stdout.buffer)
