"""``python -m mrcore`` is the ``mrcore`` command."""

from mrcore.cli.main import entry

entry()
