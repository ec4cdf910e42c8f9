"""Bytes at rest: mapped input, run files, atomic commit. Only this layer opens data files."""
