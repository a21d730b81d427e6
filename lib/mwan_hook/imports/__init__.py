"""Configurations of other programs, read as text and written in our words: ``mwan-hook import KIND FILE``.

A kind is a module of this room and a row of :mod:`mwan_hook.imports.kinds`.  The module has one public function:

    def read(text: str, draft: Draft) -> None

``text`` is the file (:mod:`mwan_hook.imports.guard`: UTF-8 without NUL, lines end with ``\\n``).  What it says is put
into the ``draft`` (:mod:`mwan_hook.imports.draft`), which has a part for each section:

* ``draft.part("routing")``, ``"probe"``, ``"router"``; ``draft.uplink(name)`` and ``draft.policy(name)`` by the name
  that the source has: ``.name`` of the part that comes back is ours.
* ``part.set(key, value)``: text, number, yes or no, or a list of texts.  The last one counts.
* ``part.lost(what, because)`` and ``part.differs(words)`` for what changes traffic, verdicts or probing (exit status
  3), ``part.note(words)`` for what changes none of them.  They stand as comments where they were said, between the
  keys that were set before and after.
* ``part.match(device)`` for an uplink on one interface, by a name that is no pattern.
* ``draft.device(logical, part)``: the device of ``--map``; without one it says so and takes the name as it is.  For
  kinds whose files name devices: ``draft.renamed(device)``.
* ``order.spelled(tiers)`` and ``order.default(tiers)`` for uplinks that share, and whose turn comes next.

What no run would take is found afterwards by the check of ``mwan-hook config --check`` itself
(:mod:`mwan_hook.imports.kinds`): such a key, or its section, is left out and said to be lost.  So a kind passes values
on without looking whether they are good, as long as they mean the same here.  No source has our hold and our portal
checks: ``[probe]`` begins without both.

A file that is not of this kind: ``raise NotUnderstood(words)``, with the line if there is one.  Text only: no file, no
socket, no program and no clock is looked at.
"""
