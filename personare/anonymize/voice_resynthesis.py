"""Resynthesizes the voice for a pseudo-speaker: how people differ on average is erased, how moods move it is kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from scipy.fft import dct, idct
from scipy.ndimage import median_filter, uniform_filter1d

from personare.core.errors import DataError, OptionError
from personare.core.options import check_options
from personare.core.types import Array, Signal
from personare.features.acoustics import N_FFT, RATE_HZ
from personare.features.resynthesis import BINS, mel_bands, nearest, rework, samples_of, spoken, taken_apart, typical

__all__ = ["VoiceResynthesis"]

_FRAME_MS = 10.0
_HZ = np.arange(BINS) * RATE_HZ / N_FFT
_BANDS = 32
_MEL = (_BANDS, 60, 7800)
_COLORED = 8  # cepstra whose mean and spread are part of the manner
_CODED = 11  # cepstra whose movement is coded
_SLOW_FRAMES = 31  # slower than this is the phrase, quicker the syllable
_QUIET = 9.0  # nepers of power under the loudest: nobody speaks there
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 600.0
_FEW = 5  # frames: a mean of fewer says nothing
_RECORDINGS = 8.0  # recordings' worth of belief that a person moves as widely as everybody
_MOST_FRAMES = 60_000


@dataclass(frozen=True, kw_only=True)
class VoiceResynthesis:
    """Take a recording's words as a coarse code and its manner as 29 numbers, erase the person, speak anew.

    The manner: pitch, how widely it moves (phrase, syllable), how the loudness swells, mean and spread of the
    spectrum's shape. ``fit`` learns along which combinations of them people differ from one another, measured by how
    far one person moves from take to take. The former are erased; the latter, where emotion lives, are kept. No label
    of emotion is seen. Whoever was fitted on, or adapted to since (``adapt_to``), is also given everybody's mean
    and spread of each number (``by_subject``): together, many recordings tell mostly these.

    **Guarantee**: the spectrum's movement, decorrelated within the recording, leaves as one of ``codes`` shapes common
    to all, on a manner whose mean is the same for all *people it knows*, and in which a direction along which those it
    was fitted on differ r times as much (in variance) as one of them from take to take is damped to 1 / (1 + ``erase``
    r). Aperiodicity, phase, jitter, background noise and everything above 8 kHz are not passed on. Loudness, timing
    (loosened by ``tempo``) and the melody's outline are, and still say something about the person. People whom it
    neither was fitted on nor adapted to (``adapt_to``) are hidden far less: show it all recordings of each.

    **Source**: erasing as in A. Solomonoff, W. Campbell, I. Boardman, "Advances in channel compensation for SVM speaker
    recognition" (ICASSP 2005) and A. Hatch, S. Kajarekar, A. Stolcke, "Within-class covariance normalization for
    SVM-based speaker recognition" (Interspeech 2006), turned round: there the take is the nuisance, here the person.
    Vocoder: M. Morise, F. Yokomori, K. Ozawa, "WORLD" (IEICE E99-D, 2016), DOI 10.1587/transinf.2015EDP7457. The
    manner, its code and the filling are ours.
    """

    codes: int = 8  # shapes of the spectrum, 2 to 256: more is easier to understand and to recognize
    erase: float = 30.0  # how hard differences between people are erased, 0 (not at all) to 1000
    filler: float = 0.5  # spread of the speaker put in place of the erased, 0 to 3 times that among real people
    tempo: float = 0.5  # spread of the random change of pace, 0 to 0.6 (as a share, four times a second)
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness a recording gets

    fit_on: ClassVar[str] = "everyone"

    def __post_init__(self) -> None:
        check_options(self, codes=(2, 256), erase=(0, 1000), filler=(0, 3), tempo=(0, 0.6))

    def __call__(self, speech: Signal, *, rng: np.random.Generator) -> Signal:
        """Refuse: how people differ must be learned first."""
        raise OptionError("voice_resynthesis must be fitted on several people first: give background recordings.")

    def fit(self, background: Iterable[tuple[str, Signal]], *, rng: np.random.Generator) -> "_Fitted":
        """Learn how people differ (the better, the more recordings of each) and the spectrum's common shapes."""
        pairs = [(subject, _take(samples_of(speech))) for subject, speech in background]
        people, takes = np.array([subject for subject, _ in pairs]), [take for _, take in pairs]
        if len(set(people)) < 2:
            raise DataError(f"It takes two people to learn how people differ, {len(set(people))} given. Give more.")
        scale = np.exp(np.mean([np.log(t.spread) for t in takes], axis=0))
        shapes = np.concatenate([t.shapes[t.spoken] for t in takes]) * scale
        shapes = shapes[rng.permutation(len(shapes))[:_MOST_FRAMES]]
        codes = typical(shapes, min(self.codes, len(shapes)), rng) / scale
        manners = _manners(takes)
        mean, keep, fill = _eraser(manners, people, self.erase)
        color = _mean(np.array([t.color.ravel() for t in takes])).reshape(2, -1)
        statistics = _speaker_statistics(manners, people)
        return _Fitted(
            options=self, mean=mean, keep=keep, fill=fill, codes=codes, scale=scale, color=color, statistics=statistics
        )


def _manners(takes: Sequence["_Take"]) -> Array:
    """Return the manners (N, 29), the common mean where one cannot be had."""
    manners = np.array([take.manner for take in takes])
    return np.where(np.isnan(manners), _mean(manners), manners)


class _Take(NamedTuple):
    """A recording split into manner and movement; all movements have spread 1, whatever the manner."""

    voiced: Array  # (T,)
    spoken: Array  # (T,)
    pitch: Array  # (T, 2) phrase and syllable
    level: Array  # (T,)
    shapes: Array  # (T, 11) decorrelated
    spread: Array  # (11,) of the shapes before
    color: Array  # (2, 31) mean shape of voiced and unvoiced sounds
    manner: Array  # (29,), NaN where it cannot be had


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    options: VoiceResynthesis
    mean: Array  # (29,) manner
    keep: Array  # (29, 29) erases
    fill: Array  # (29, 29) invents
    codes: Array  # (K, 11) of spread 1
    scale: Array  # (11,) common spread of the shapes
    color: Array  # (2, 31) common mean shapes
    statistics: Mapping[str, Array]  # by subject, (2, 29); see ``_speaker_statistics``
    subject: str = ""  # who speaks; empty: somebody it was not fitted on

    @property
    def by_subject(self) -> dict[str, "_Fitted"]:
        """The same for each person it was fitted on, made for their statistics."""
        return {subject: replace(self, subject=subject) for subject in self.statistics}

    def adapt_to(self, speech: Iterable[tuple[str, Signal]]) -> "_Fitted":
        """Return the same for other people, whose statistics are learned; nothing else is."""
        pairs = [(subject, _take(samples_of(samples))) for subject, samples in speech]
        statistics = _speaker_statistics(
            _manners([take for _, take in pairs]), np.array([subject for subject, _ in pairs])
        )
        return replace(self, statistics=statistics)

    def __call__(self, speech: Signal, *, rng: np.random.Generator) -> Signal:
        """Return the pseudo-speaker's speech; rate, length, channels and loudness are kept."""
        seed = int(rng.integers(2**63))  # one pseudo-speaker for all channels
        centers, mel = np.log(1 + mel_bands(*_MEL)[1] / 700), np.log(1 + _HZ / 700)
        bands = np.array([np.interp(mel, centers, row) for row in np.eye(_BANDS)])  # (32, 513)
        # the breath is everybody's: none below 500 Hz, nearly all of it at the top
        breath_db = -40 + 38 * ((_HZ - 500) / 5000).clip(0, 1) ** 0.7

        def change(samples: Array) -> Array:
            rng, take = np.random.default_rng(seed), _take(samples)
            middle, stretch = self.statistics.get(self.subject, (self.mean, 1.0))
            manner = self.mean + np.nan_to_num(take.manner - middle) * stretch @ self.keep
            manner += self.options.filler * rng.standard_normal(len(manner)) @ self.fill
            pitch = manner[0] + take.pitch.clip(-3, 3) @ np.exp(manner[1:3].clip(-5, 0))
            pitch = pitch.clip(np.log(_LOWEST_HZ), np.log(_HIGHEST_HZ))
            level = take.level.clip(-4, 3) * np.exp(manner[4].clip(-3, 1.5)) + np.where(take.voiced, 0, manner[3])
            level = uniform_filter1d(np.where(take.spoken, level, -_QUIET), 3)
            cepstra = np.column_stack([level * np.sqrt(_BANDS), self._timbre(take, manner)])
            # the pace wanders, beginning and end stay: path says from which frame each frame is read
            frames, knots = np.arange(len(level)), max(2, round(len(level) / 25))
            pace = np.exp(self.options.tempo * rng.standard_normal(knots))
            path = np.cumsum(np.interp(np.linspace(0, knots - 1, len(frames)), np.arange(knots), pace))
            path = (path - path[0]) / (path[-1] - path[0]) * (len(frames) - 1)
            voiced = take.voiced[np.rint(path).astype(int)]
            pitch_hz = np.where(voiced, np.exp(np.interp(path, frames, pitch)), 0.0)
            cepstra = np.stack([np.interp(path, frames, c) for c in cepstra.T], axis=1)
            power = np.exp((idct(cepstra, norm="ortho", axis=1) @ bands - 12).clip(-35, 10))
            breath = np.where(voiced[:, None], 10 ** (breath_db / 20), 0.9999)
            return spoken(pitch_hz, power, breath, frame_ms=_FRAME_MS)[: len(samples)]

        return rework(speech, change)

    def _timbre(self, take: _Take, manner: Array) -> Array:
        """Return cepstra without the level, (T, 31): a common mean, colored by the manner, and coded movement."""
        color, spread, end = self.color.copy(), self.scale.copy(), 5 + 2 * _COLORED
        color[:, :_COLORED] = manner[5:end].reshape(2, _COLORED)
        spread[:_COLORED] *= (np.exp(manner[end:]) / spread[:_COLORED]).clip(0.4, 2.5)
        coded = self.codes[nearest(take.shapes * self.scale, self.codes * self.scale)]
        moves = np.where(take.spoken[:, None], coded * spread, 0)
        share = uniform_filter1d(take.voiced.astype(float), 3)[:, None]
        timbre = share * color[0] + (1 - share) * color[1]
        timbre[:, :_CODED] += uniform_filter1d(moves, 3, axis=0)
        return np.asarray(timbre)


def _mean(rows: Array) -> Array:
    """Return the mean of each column's numbers; 0 where it has none."""
    there = ~np.isnan(rows)
    return np.asarray(np.where(there, rows, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1))


def _eraser(manners: Array, people: Array, strength: float) -> tuple[Array, Array, Array]:
    """Return the mean manner, what is kept of a deviation from it, and what fills the rest, from (recordings, D)."""
    names, who = np.unique(people, return_inverse=True)
    means = np.array([manners[who == k].mean(axis=0) for k in range(len(names))])
    mean, moves = means.mean(axis=0), manners - means[who]
    between = (means - mean).T @ (means - mean) / (len(names) - 1)
    within = moves.T @ moves / max(1, len(moves) - len(names))
    within += 0.05 * (np.diag(np.diag(within)) - within) + 1e-6 * np.eye(len(mean))
    size, axis = np.linalg.eigh(within)
    white, back = axis / np.sqrt(size), axis * np.sqrt(size)
    ratio, turn = np.linalg.eigh(white.T @ between @ white)
    ratio = (ratio - len(names) / len(moves)).clip(0)  # so much the means of few takes differ by chance
    gain = 1 / (1 + strength * ratio)
    directions = (back @ turn).T
    return mean, (white @ turn) * gain @ directions, (np.sqrt(ratio) * (1 - gain))[:, None] * directions


def _speaker_statistics(manners: Array, people: Array) -> dict[str, Array]:
    """Return by person the mean manner, and how far each number's spread must be stretched to become everybody's."""
    names, who = np.unique(people, return_inverse=True)
    counts, means = np.bincount(who), np.array([manners[who == k].mean(axis=0) for k in range(len(names))])
    squares = np.square(manners - means[who])
    common = squares.sum(axis=0) / max(1, len(manners) - len(names)) + 1e-9
    spread = np.array([squares[who == k].sum(axis=0) for k in range(len(names))]) + _RECORDINGS * common
    stretch = np.sqrt(common / spread * (counts[:, None] - 1 + _RECORDINGS))
    return dict(zip(names.tolist(), np.stack([means, stretch], axis=1), strict=True))


def _take(samples: Array) -> _Take:
    """Split a recording into manner and movement."""
    pitch, power = taken_apart(samples, frame_ms=_FRAME_MS, low_hz=_LOWEST_HZ, high_hz=_HIGHEST_HZ)
    cepstra, voiced = dct(np.log(power @ mel_bands(*_MEL)[0] + 1e-10), norm="ortho", axis=1), pitch > 0  # (T, 32)
    if voiced.sum() < _FEW:
        line, voiced = np.full(len(pitch), 5.0), np.zeros(len(pitch), bool)
    else:  # log pitch, drawn through where unvoiced
        line = np.interp(np.arange(len(pitch)), np.flatnonzero(voiced), np.log(pitch[voiced]))
        line, voiced = median_filter(line, 3), median_filter(voiced, 5)
    level, cepstra = cepstra[:, 0] / np.sqrt(_BANDS), cepstra[:, 1:]
    spoken = level > np.percentile(level, 97) - _QUIET
    voiced = voiced & spoken
    color, loud, shapes, moved = [], [], np.zeros((len(level), _CODED)), np.zeros(len(level))
    for kind in (voiced, spoken & ~voiced):
        enough = kind.sum() >= _FEW
        rows = kind if enough else spoken
        mean, middle = cepstra[rows].mean(axis=0), level[rows].mean()
        shapes[kind], moved[kind] = (cepstra[kind] - mean)[:, :_CODED], level[kind] - middle
        color.append(mean if enough else mean * np.nan)
        loud.append(middle if enough else np.nan)
    mean_pitch = line[voiced].mean() if voiced.sum() >= _FEW else np.nan
    line = line - (line.mean() if np.isnan(mean_pitch) else mean_pitch)
    phrase = uniform_filter1d(line, _SLOW_FRAMES, mode="nearest")
    syllable = uniform_filter1d(line - phrase, 5, mode="nearest")  # jitter is in neither
    melody, swell = np.stack([phrase, syllable], axis=1), uniform_filter1d(moved, _SLOW_FRAMES, mode="nearest")
    spread, pitch_spread = shapes[spoken].std(axis=0) + 0.02, _log_spread(melody, voiced, 0.01)
    level_spread = _log_spread(swell[:, None], spoken, 0.05)
    shapes /= spread
    size, axis = np.linalg.eigh(0.9 * np.cov(shapes[spoken].T, bias=True) + 0.1 * np.eye(_CODED))
    shapes = shapes @ (axis / np.sqrt(size)) @ axis.T  # which cepstra move together is a habit too
    colors = np.concatenate([c[:_COLORED] for c in color])
    first = np.concatenate([[mean_pitch], pitch_spread, [loud[1] - loud[0]], level_spread])
    return _Take(
        voiced=voiced,
        spoken=spoken,
        pitch=melody / np.exp(np.nan_to_num(pitch_spread)),
        level=swell / np.exp(np.nan_to_num(level_spread[0])),
        shapes=shapes / (shapes[spoken].std(axis=0) + 0.02),
        spread=spread,
        color=np.array(color),
        manner=np.concatenate([first, colors, np.log(spread[:_COLORED])]),
    )


def _log_spread(rows: Array, where: Array, least: float) -> Array:
    few = where.sum() < _FEW
    return np.full(rows.shape[1], np.nan) if few else np.asarray(np.log(rows[where].std(axis=0) + least))
