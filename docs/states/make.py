#!/usr/bin/env python3
"""Writes the pages of this folder from the transition tables of mrcore/scheduler. Run it after a change to one."""

from pathlib import Path

from mrcore.testing.state_diagrams import KINDS, draw_kind

for kind in KINDS:
    Path(__file__).with_name(f"{kind}.md").write_text(draw_kind(kind), encoding="utf-8")
