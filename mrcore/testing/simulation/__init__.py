"""Parts of a seeded world: a virtual clock, a network, disks, and the faults that befall them.

Nothing here reads a clock, starts a thread or touches a file. Randomness is an injected
``random.Random``, one for each part, so that a draw more in one part shifts nothing in another; the
same seed gives the same trace in every process. Faults are profiles of rates (:mod:`faults`), and
each that happens is counted by its name (:mod:`coverage`).
"""
