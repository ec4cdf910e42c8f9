"""What two sides say before either trusts the other: the bytes of hello, proof and refusal.

:mod:`mrcore.wire.handshake` says who sends what when; ``docs/formats/wire.md`` has the grammar. All layouts
are fixed and at most ``HANDSHAKE_FRAME_MAX`` bytes long, so that a stranger costs next to nothing to read.
"""

from __future__ import annotations

import enum
import hmac
import struct
from typing import NamedTuple

from mrcore.errors import ProtocolError, UsageError, shown

MAGIC = b"mrcwire\x01"
"""The first bytes of each direction. The last one is the layout of the handshake itself."""

TOKEN_BYTES_MIN = 16
"""Who hears a handshake can try tokens at home against its proofs: 128 random bits are too many to try."""

NONCE_BYTES = 32
PROOF_BYTES = 32  # of SHA-256
IDENTITY_BYTES_MAX = 64

_HELLO = struct.Struct("<BBBBBB32s")
HANDSHAKE_FRAME_MAX = _HELLO.size + IDENTITY_BYTES_MAX
"""Bytes of a payload before authentication: those of the longest hello."""

_REFUSAL = struct.Struct("<BBBBBB")
_KIND_HELLO, _KIND_PROOF, _KIND_REFUSAL = 1, 2, 3


class Role(enum.Enum):
    """Which end of a connection somebody is. The worker connects, the coordinator accepts."""

    WORKER = 1
    COORDINATOR = 2

    @property
    def title(self) -> str:
        """The role as a word in a sentence."""
        return self.name.lower()

    @property
    def other(self) -> Role:
        """The role at the other end."""
        return Role.WORKER if self is Role.COORDINATOR else Role.COORDINATOR


class Version(NamedTuple):
    """A version of the protocol; they are ordered. The minor ones of a major are final once the next major exists."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Versions(NamedTuple):
    """What one side speaks: all versions from ``oldest`` to ``newest``."""

    oldest: Version
    newest: Version

    def __str__(self) -> str:
        return str(self.newest) if self.oldest == self.newest else f"{self.oldest} to {self.newest}"

    def agree(self, other: Versions) -> Version | None:
        """The newest version that both speak, if there is one."""
        newest = min(self.newest, other.newest)
        return newest if newest >= max(self.oldest, other.oldest) else None


SPOKEN = Versions(Version(1, 0), Version(1, 0))
"""What this release speaks."""


class Hello(NamedTuple):
    """Who one side claims to be, what it speaks, and its challenge."""

    role: Role
    identity: str  # printable ASCII without blanks, 1 to IDENTITY_BYTES_MAX bytes
    versions: Versions
    nonce: bytes  # NONCE_BYTES of them, fresh for each connection


class Proof(NamedTuple):
    """That one side holds the token."""

    mac: bytes


class Refusal(NamedTuple):
    """Why one side closes; a courtesy to the other, and no more to be believed than any stranger's word."""

    reason: int  # a Reason, or a number that only a newer release knows
    versions: Versions  # what the refusing side speaks


class Reason(enum.IntEnum):
    """Why somebody is refused."""

    VERSIONS = 1
    PROOF = 2
    ROLE = 3


def encode_hello(hello: Hello) -> bytes:
    """The hello as the payload of a frame.

    Raises:
        UsageError: an identity that is empty, too long, or not printable ASCII without blanks.
    """
    identity = hello.identity.encode("utf-8", "surrogatepass")
    if not _is_identity(identity):
        said = shown(hello.identity[:80])
        raise UsageError(f"identity {said}: give 1 to {IDENTITY_BYTES_MAX} printable ASCII characters, no blanks")
    assert len(hello.nonce) == NONCE_BYTES
    head = _HELLO.pack(_KIND_HELLO, hello.role.value, *hello.versions.oldest, *hello.versions.newest, hello.nonce)
    return head + identity


def encode_proof(proof: Proof) -> bytes:
    """The proof as the payload of a frame."""
    assert len(proof.mac) == PROOF_BYTES
    return bytes([_KIND_PROOF]) + proof.mac


def encode_refusal(refusal: Refusal) -> bytes:
    """The refusal as the payload of a frame."""
    return _REFUSAL.pack(_KIND_REFUSAL, refusal.reason, *refusal.versions.oldest, *refusal.versions.newest)


def decode_greeting(payload: bytes) -> Hello | Proof | Refusal:
    """What a payload says.

    Raises:
        ProtocolError: it is none of the three, or one of them with a size or a field out of bounds.
    """
    kind = payload[0] if payload else None
    if kind == _KIND_HELLO and len(payload) > _HELLO.size:
        return _decode_hello(payload)
    if kind == _KIND_PROOF and len(payload) == 1 + PROOF_BYTES:
        return Proof(payload[1:])
    if kind == _KIND_REFUSAL and len(payload) == _REFUSAL.size:
        _, reason, *numbers = _REFUSAL.unpack(payload)
        return Refusal(reason, _decode_versions(*numbers))
    raise ProtocolError(f"the handshake has no message of kind {kind} and {len(payload)} bytes")


def _decode_hello(payload: bytes) -> Hello:
    _, role, *numbers, nonce = _HELLO.unpack_from(payload)
    identity = payload[_HELLO.size :]
    if role not in (Role.WORKER.value, Role.COORDINATOR.value):
        raise ProtocolError(f"a hello of role {role}: there is none")
    if not _is_identity(identity):
        raise ProtocolError("a hello with an identity that is too long or not printable")
    return Hello(Role(role), identity.decode("ascii"), _decode_versions(*numbers), nonce)


def _decode_versions(*numbers: int) -> Versions:
    versions = Versions(Version(*numbers[:2]), Version(*numbers[2:]))
    if versions.oldest > versions.newest:
        raise ProtocolError(f"versions {versions}: the first is the newer one")
    return versions


def _is_identity(identity: bytes) -> bool:
    return 0 < len(identity) <= IDENTITY_BYTES_MAX and all(0x21 <= byte <= 0x7E for byte in identity)


def key_of(token: bytes) -> bytes:
    """The key of proofs. HMAC takes a key, and the same with zeros behind it, for one; hashed tokens differ."""
    return hmac.digest(MAGIC, token, "sha256")


def prove(key: bytes, prover: Role, worker_hello: bytes, coordinator_hello: bytes) -> Proof:
    """The proof that ``prover`` sends.

    It covers all of both hellos, and so both nonces, roles, identities and ranges of versions: whoever
    changes a byte of them on the way, say to make both sides speak an older version, breaks it. The prover's
    role stands in front, so that no proof serves for the other direction. Sizes stand before the hellos, so
    that no two pairs of them give the same bytes.

    Args:
        key: of HMAC-SHA256 (RFC 2104), from the shared token.
        prover: whose proof it is.
        worker_hello: payload of the worker's hello, as sent.
        coordinator_hello: payload of the coordinator's.
    """
    sizes = struct.pack("<BII", prover.value, len(worker_hello), len(coordinator_hello))
    return Proof(hmac.digest(key, MAGIC + sizes + worker_hello + coordinator_hello, "sha256"))
