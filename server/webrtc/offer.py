"""What a browser's SDP offer asks for, and what is answered (RFC 3264, RFC 8866).

An offer is read here, strictly, and said again in our own words before the WebRTC
library hears of it: no text of a stranger's reaches its parser. Candidates are left
out on purpose: the browser comes to us, and is answered where it came from (RFC 8445
section 7.3.1.3), so that nobody can have this server send to an address of his choice.

Pure: no input or output.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_SECTIONS = 16
SESSION = (
    "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}\r\nc=IN IP4 0.0.0.0\r\n"
    "a=mid:{mid}\r\na=recvonly\r\na=rtcp-mux\r\na=setup:{setup}\r\n"
    "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n{fingerprints}"
    "a=rtpmap:{payload_type} opus/48000/2\r\n"
)

_CHAR = r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]"
_LINE = re.compile(r"[a-z]=.*")
_MEDIA = re.compile(
    rf"({_CHAR}{{1,32}}) \d{{1,5}}(?:/\d+)? ([A-Za-z/]{{1,32}})"
    rf"((?: {_CHAR}{{1,32}})+)"
)
_MID = re.compile(rf"{_CHAR}{{1,32}}")
_OPUS = re.compile(r"(\d{2,3}) opus/48000/2", re.IGNORECASE)
# RFC 8839 section 5.4: ice-char, 4*256 and 22*256 of them.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT = re.compile(
    r"(sha-256|sha-384|sha-512) ((?:[0-9a-f]{2}:){31,63}[0-9a-f]{2})"
)
_SETUP = ("actpass", "active", "passive")
_DYNAMIC = range(96, 128)


class OfferError(Exception):
    """An offer that cannot be answered.

    Args:
        reason: Why, in a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class MediaSection:
    """One `m=` section, as far as its refusal has to repeat it."""

    kind: str
    protocol: str
    formats: str
    mid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An offer to receive Opus."""

    sections: tuple[MediaSection, ...]
    chosen: int
    """Which section is answered; the others are refused."""
    payload_type: int
    ufrag: str = field(repr=False)
    password: str = field(repr=False)
    fingerprints: tuple[str, ...]
    setup: str

    def to_sdp(self) -> str:
        """Return the chosen section as an offer of its own."""
        return SESSION.format(
            mid=self.sections[self.chosen].mid,
            payload_type=self.payload_type,
            setup=self.setup,
            ufrag=self.ufrag,
            password=self.password,
            fingerprints="".join(f"a=fingerprint:{f}\r\n" for f in self.fingerprints),
        )

    def complete_answer(self, answer: str) -> str:
        """Return the answer to the whole offer.

        Args:
            answer: What was answered to `to_sdp`, with one section.
        """
        session, _, media = answer.partition("m=")
        said = f"a=rtpmap:{self.payload_type} opus/48000/2\r\n"
        # Without it a browser mixes the channels down (RFC 7587 section 7.1).
        stereo = f"a=fmtp:{self.payload_type} stereo=1;sprop-stereo=1\r\n"
        accepted = f"m={media}".replace(said, said + stereo)
        sections = [
            accepted if at == self.chosen else _refusal(section)
            for at, section in enumerate(self.sections)
        ]
        return session + "".join(sections)


def _refusal(section: MediaSection) -> str:
    """Return the answer to a section that is not wanted (RFC 3264 section 6)."""
    return (
        f"m={section.kind} 0 {section.protocol}{section.formats}\r\n"
        f"c=IN IP4 0.0.0.0\r\na=mid:{section.mid}\r\na=inactive\r\n"
    )


@dataclass(slots=True)
class _Lines:
    """The lines of one section, or of the session before all of them."""

    media: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def first(self, name: str) -> str | None:
        return next(iter(self.attributes.get(name, ())), None)


def parse_offer(body: bytes) -> Offer:
    """Read an offer.

    Raises:
        OfferError: It is not SDP, or offers to receive nothing that is sent here.
    """
    session, *sections = _split(body)
    if not 0 < len(sections) <= MAX_SECTIONS:
        raise OfferError(f"An offer has 1 to {MAX_SECTIONS} m= sections.")
    described = tuple(map(_describe, sections))
    for at, section in enumerate(sections):
        payload_type = _opus(described[at], section)
        if payload_type is not None:
            return _accept(described, at, payload_type, session, section)
    raise OfferError(
        "There is no m=audio section that receives opus/48000/2 over UDP/TLS/RTP/SAVPF."
    )


def _split(body: bytes) -> list[_Lines]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise OfferError("The offer is not UTF-8.") from None
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if lines[0] != "v=0":
        raise OfferError("The body is not SDP: it does not begin with v=0.")
    found = [_Lines()]
    for line in lines:
        if _LINE.fullmatch(line) is None:
            raise OfferError("The body is not SDP: a line is not <letter>=<value>.")
        letter, value = line[0], line[2:]
        if letter == "m":
            found.append(_Lines(value))
        elif letter == "a":
            name, _, rest = value.partition(":")
            found[-1].attributes.setdefault(name, []).append(rest)
    return found


def _describe(lines: _Lines) -> MediaSection:
    match = _MEDIA.fullmatch(lines.media)
    mid = lines.first("mid") or ""
    if match is None or _MID.fullmatch(mid) is None:
        raise OfferError(
            "Each m= section needs a kind, port, protocol, formats and mid."
        )
    return MediaSection(match[1], match[2], match[3], mid)


def _opus(section: MediaSection, lines: _Lines) -> int | None:
    """Return the payload type that a section can receive Opus as."""
    if section.kind != "audio" or section.protocol != "UDP/TLS/RTP/SAVPF":
        return None
    if not lines.attributes.keys().isdisjoint({"sendonly", "inactive"}):
        return None
    for entry in lines.attributes.get("rtpmap", ()):
        match = _OPUS.fullmatch(entry)
        if match is not None and match[1] in section.formats.split():
            payload_type = int(match[1])
            if payload_type in _DYNAMIC:
                return payload_type
    return None


def _accept(
    sections: tuple[MediaSection, ...],
    chosen: int,
    payload_type: int,
    session: _Lines,
    lines: _Lines,
) -> Offer:
    def value(name: str) -> str:
        return lines.first(name) or session.first(name) or ""

    if len({section.mid for section in sections}) < len(sections):
        raise OfferError("Two m= sections have the same mid.")
    if "rtcp-mux" not in lines.attributes:
        raise OfferError("RTP and RTCP share a port here: a=rtcp-mux is missing.")
    if "ice-lite" in session.attributes:
        raise OfferError("With a=ice-lite nobody would begin the connection.")
    given = lines.attributes.get("fingerprint") or session.attributes.get("fingerprint")
    fingerprints = [_FINGERPRINT.fullmatch(each.lower()) for each in given or ()]
    known = tuple(f"{each[1]} {each[2].upper()}" for each in fingerprints if each)
    if not known:
        raise OfferError("a=fingerprint is missing, or is not SHA-256, -384 or -512.")
    if _UFRAG.fullmatch(value("ice-ufrag")) is None:
        raise OfferError("a=ice-ufrag is missing or malformed.")
    if _PASSWORD.fullmatch(value("ice-pwd")) is None:
        raise OfferError("a=ice-pwd is missing or malformed.")
    setup = value("setup") or "actpass"
    if setup not in _SETUP:
        raise OfferError("a=setup is neither actpass, active nor passive.")
    return Offer(
        sections=sections,
        chosen=chosen,
        payload_type=payload_type,
        ufrag=value("ice-ufrag"),
        password=value("ice-pwd"),
        fingerprints=known,
        setup=setup,
    )
