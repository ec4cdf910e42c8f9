"""What a law is: a witness of a story that raises when it is broken."""

from __future__ import annotations

from typing import NoReturn

from mrcore.testing.simulation.cluster import Witness


class BrokenLawError(AssertionError):
    """A story in which a law did not hold.

    Attributes:
        law: its name.
        text: what happened.
    """

    def __init__(self, law: str, text: str) -> None:
        super().__init__(f"{law}: {text}")
        self.law, self.text = law, text


class Law(Witness):
    """A witness with a name, which is that of its module."""

    def broken(self, text: str) -> NoReturn:
        """Ends the story."""
        raise BrokenLawError(type(self).__module__.rpartition(".")[2], text)
