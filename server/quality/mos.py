"""How good a call sounds after losses: the E-model, reduced to what a recorder knows.

ITU-T G.107 (06/2015) with its default values, for listening only: no delay, no echo.
It knows nothing of the content, so it is an estimate, on the scale of narrowband
telephony whatever the codec.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.audio import Codec

DEFAULT_RATING = 93.2
"""R with every parameter at its default and no impairment (G.107, section 7.7)."""

MAX_BURST_RATIO = 2.0
"""More than this is not assumed: the formula was fitted to moderate bursts."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a codec does to speech (G.113, appendix I)."""

    ie: float
    """Equipment impairment factor without loss."""
    bpl: float
    """Robustness against loss: the greater the better."""


G711_WITHOUT_CONCEALMENT = Impairment(ie=0, bpl=4.3)
"""G.113 appendix I: G.711 without packet loss concealment."""
G711_WITH_CONCEALMENT = Impairment(ie=0, bpl=25.1)
"""G.113 appendix I: G.711 with the concealment of its own appendix I."""

_IMPAIRMENTS = {
    # What is lost is silence in a recording, so nothing is concealed.
    Codec.PCMU: G711_WITHOUT_CONCEALMENT,
    Codec.PCMA: G711_WITHOUT_CONCEALMENT,
    # Uncompressed, so no worse than G.711; G.113 has no value of its own for it.
    Codec.L16: G711_WITHOUT_CONCEALMENT,
    # Provisional: G.113 lists no Opus. At telephony's usual 16 kbit/s and more it is
    # transparent on the narrowband scale, and its losses are silence here as well.
    Codec.OPUS: G711_WITHOUT_CONCEALMENT,
}


def impairment_of(codec: Codec) -> Impairment:
    """Return what a codec does to a recording."""
    return _IMPAIRMENTS[codec]


def rating(
    loss_percent: float, impairment: Impairment, burst_ratio: float = 1.0
) -> float:
    """Return the rating R, 0 to 93.2 (G.107, sections 7.1 and 7.5).

    Args:
        loss_percent: Packets or audio time lost, 0 to 100.
        impairment: Of the codec.
        burst_ratio: Mean length of the bursts of loss over that of random loss.
    """
    ratio = min(max(burst_ratio, 1.0), MAX_BURST_RATIO)
    ie, bpl = impairment.ie, impairment.bpl
    effective = ie + (95 - ie) * loss_percent / (loss_percent / ratio + bpl)
    return max(DEFAULT_RATING - effective, 0.0)


def mos_of(rating: float) -> float:
    """Return the mean opinion score, 1 to 4.5, for a rating (G.107, annex B)."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    curve = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
    # Below 6.5 the curve dips under the end of the scale.
    return max(curve, 1.0)


def burst_ratio(lost_packets: int, bursts: int, loss_percent: float) -> float:
    """Return how much longer bursts of loss were than they are by chance.

    Random loss of a share p comes in bursts of 1 / (1 - p) packets on average (G.107,
    section 7.5).
    """
    if not bursts:
        return 1.0
    return max(lost_packets / bursts * (1 - loss_percent / 100), 1.0)
