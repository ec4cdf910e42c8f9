"""The scheduler: what runs where and when, decided without a clock, a socket or a file.

Read in this order: ``states`` (what a transition table is), ``task``, ``attempt``, ``stage``, ``job``, ``worker`` (one
file for each thing that has states), ``events`` and ``actions`` (what goes in and comes out), ``ledger`` (what
survives a crash), ``scheduler`` (what is done about each event). The rest are its decisions: ``placement``,
``failures``, ``speculation``, ``losses``.
"""
