"""Body signals: what a track's columns record, the events in them, and what windows of them say, with units."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from statistics import NormalDist
from typing import Final

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt, welch

from personare.core.errors import DataError
from personare.core.types import Array, Signal, Track

USUAL: Final[Mapping[str, tuple[float, float]]] = {
    "rate_bpm": (80, 12), "rmssd_ms": (80, 30), "sdnn_ms": (65, 25), "tonic_us": (4, 1), "responses_per_min": (5, 3),
    "skin_c": (32, 2), "skin_slope_c_min": (0, 0.15), "breaths_per_min": (15, 4), "movement_log_g": (-1.6, 0.4),
    "steps_per_min": (10, 10), "counts_log": (4, 1.5), "still_share": (0.3, 0.2),
}  # fmt: skip
"""What a window says of heart, skin, breath and movement, and what is usual: a mean and a spread that are nobody's."""
FEATURES = tuple(USUAL)
SHOWN = ("rate_bpm", "tonic_us", "responses_per_min", "breaths_per_min", "movement_log_g", "counts_log")
"""What is released unless others are asked for: what tells most of a state, and least of a person."""
_KINDS = {"ecg": "pulse", "bvp": "pulse", "ppg": "pulse", "gsr": "eda", "heart_rate": "hr"}
_KINDS |= {kind: kind for kind in ("eda", "temp", "resp", "acc", "activity", "hr")}
_LIMITS: Final = {"hr": (20, 250), "eda": (0, 100), "temp": (10, 45), "activity": (0, np.inf)}
_ECG_HZ = 25  # with fewer samples a second its steep waves are not there
# beats, skin responses, breaths, steps: band in Hz, least seconds apart, least height (0: that of half the signal)
_EVENTS: Final = {"pulse": (0.7, 2.5, 0.4, 0.0), "eda": (0.05, 1.0, 1.0, 0.02), "resp": (0.1, 0.7, 1.2, 0.0),
                  "acc": (1.0, 3.0, 0.3, 0.08)}  # fmt: skip
_BANDS_HZ = np.linspace(0.5, 16, 24)
SPECTRA: Final = 4 * len(_BANDS_HZ)
"""How many last columns of a ``view`` are the power of movement: a gait, a tremor, what a hand does."""


def signals_of(track: Track) -> dict[str, Signal]:
    """Return the signals of a body by kind, each at its own rate; what is impossible is a gap, too much of it an error.

    Of several of a kind the first counts. Acceleration comes in g, an ECG as the energy of its steep waves: a pulse.
    """
    if track.kind != "signal" or not 0 < track.rate_hz < np.inf:
        raise DataError("Body signals must have their SamplingFrequency. Import them with the reader `signals`.")
    names = [name.lower() for name in track.columns]
    parts = ["acc" if name in ("x", "y", "z") else next((p for p in _KINDS if p in name), "") for name in names]
    signals: dict[str, Signal] = {}
    recorded = np.where(np.isfinite(track.values), np.asarray(track.values, float), np.nan)
    for part, kind in _KINDS.items():
        low, high = _LIMITS.get(kind, (-np.inf, np.inf))
        columns = [n for n, own in enumerate(parts) if own == part and np.isfinite(recorded[:, n]).any()]
        values = recorded[:, columns[: 3 if part == "acc" else 1]]
        rows = np.flatnonzero(np.isfinite(values).all(axis=1))
        if not columns or len(rows) < 2 or kind in signals:
            continue
        steps = np.diff(rows)  # slower signals have values in some rows only, maybe 10 and 11 apart
        step = float(steps[steps < 1.5 * np.median(steps)].mean())
        own, rate_hz = np.full((int(len(values) / step) + 1, values.shape[1]), np.nan), track.rate_hz / step
        own[np.round((rows - rows[0] % step) / step).astype(int)] = values[rows]
        own = own[: round(len(values) / step)]
        if np.mean(wrong := (own < low) | (own > high)) > 0.1:
            raise DataError(f"{part} must lie from {low} to {high}, and {wrong.mean():.0%} does not. Convert its unit.")
        values = np.where(wrong, np.nan, own)
        if part == "acc":
            values /= np.nanmedian(np.linalg.norm(values, axis=1)) or 1.0
        elif part == "ecg" and rate_hz < _ECG_HZ:
            raise DataError(f"An ecg must have {_ECG_HZ} samples a second or more, not {rate_hz:g}. Leave it out.")
        elif part == "ecg":
            values = np.abs(_band(values[:, 0], rate_hz, 5, min(20, rate_hz / 2.2)))[:, None]
        signals[kind] = Signal(values=values, rate_hz=rate_hz)
    if not signals:
        raise DataError(f"No column is a known signal ({', '.join(_KINDS)}) with values: {', '.join(names)}.")
    return signals


def _band(values: Array, rate_hz: float, low_hz: float, high_hz: float) -> Array:
    there, filters = np.flatnonzero(np.isfinite(values)), butter(2, (low_hz, high_hz), "band", fs=rate_hz, output="sos")
    filled = np.interp(np.arange(len(values)), there, values[there])
    return np.asarray(sosfiltfilt(filters, filled, padlen=min(len(values) - 1, int(3 * rate_hz / low_hz))))


def events_of(kind: str, signal: Signal) -> Array:
    """Return the seconds of a signal's events, between samples where the rate is low; none in gaps."""
    low_hz, high_hz, apart_s, least = _EVENTS.get(kind, (0, np.inf, 0, 0))
    if signal.rate_hz < 2.2 * high_hz:
        return np.empty(0)
    length = np.linalg.norm(signal.values, axis=1)
    moved = _band(length if kind == "acc" else signal.values[:, 0], signal.rate_hz, low_hz, high_hz)
    if moved.std() <= 1e-6 * np.nanmax(length):  # a sensor that nobody wears: only rounding goes up and down
        return np.empty(0)
    if kind == "pulse":  # movement makes some beats many times as high as others
        moved /= np.sqrt(uniform_filter1d(moved**2, round(4 * signal.rate_hz))) + 1e-9
    height = max(least or float(np.median(np.abs(moved))), 1e-9)
    peaks = find_peaks(moved, distance=max(1, round(apart_s * signal.rate_hz)), prominence=height)[0]
    peaks = peaks[uniform_filter1d(np.isnan(length).astype(float), round(2 * signal.rate_hz) + 1)[peaks] < 0.5]
    before, top, after = moved[peaks - 1], moved[peaks], moved[peaks + 1]
    return np.asarray((peaks + (before - after) / (2 * (before - 2 * top + after))) / signal.rate_hz)


def windows_of(signals: Mapping[str, Signal], window_s: float) -> tuple[Array, float]:
    """Return (windows, ``FEATURES``), NaN where nothing was recorded, and the seconds of a window.

    Slow signals, such as activity by the minute, get windows of 60 samples; a shorter recording is one window.
    """
    duration_s = max(signal.duration_s for signal in signals.values())
    span_s = min(duration_s, max(window_s, 60 / max(signal.rate_hz for signal in signals.values())))
    rows: list[dict[str, float]] = [{} for _ in range(int(duration_s / span_s + 1e-6))]
    for kind, signal in signals.items():
        events = events_of(kind, signal)
        for n, row in enumerate(rows):
            values = signal.values[round(n * span_s * signal.rate_hz) : round((n + 1) * span_s * signal.rate_hz)]
            there = np.isfinite(values).all(axis=1)
            if there.sum() > 0.5 * span_s * signal.rate_hz:
                at = events[(events >= n * span_s) & (events < (n + 1) * span_s)]
                row |= _said(kind, values[there], at, there.sum() / signal.rate_hz / 60) | row
    return np.array([[row.get(name, np.nan) for name in FEATURES] for row in rows]), span_s


def _said(kind: str, values: Array, at: Array, minutes: float) -> dict[str, float]:
    """Return what a window of a signal without gaps says."""
    if kind == "pulse":
        between = np.diff(at)
        good = np.abs(between - np.median(between)) < 0.2 * np.median(between) if len(between) else between > 0
        if good.sum() < 4:  # of those left without false and missed beats
            return {}
        steps, mean = np.diff(between)[good[1:] & good[:-1]], between[good].mean()
        rmssd = 1000 * float(np.sqrt(np.mean(steps**2))) if len(steps) else np.nan
        return {"rate_bpm": 60 / mean, "rmssd_ms": rmssd, "sdnn_ms": 1000 * float(between[good].std())}
    level, often, length = float(np.median(values)), len(at) / minutes, np.linalg.norm(values, axis=1)
    slope = np.polyfit(np.linspace(0, minutes, len(values)), values[:, 0], 1)[0] if len(values) > 1 else np.nan
    return {
        "hr": {"rate_bpm": level},
        "eda": {"tonic_us": level, "responses_per_min": often},
        "temp": {"skin_c": level, "skin_slope_c_min": float(slope)},
        "resp": {"breaths_per_min": often},
        "acc": {"movement_log_g": float(np.log10(length.std() + 1e-3)), "steps_per_min": often},
        "activity": {"counts_log": float(np.log1p(length).mean()), "still_share": float(np.mean(length == 0))},
    }[kind]


def view(track: Track, window_s: float = 60.0) -> Array:
    """Return what an attacker looks at, (windows, D): ``FEATURES``, levels and form of events, and ``SPECTRA``."""
    forms, spectra = np.full((len(_EVENTS), 22), np.nan), np.full((4, len(_BANDS_HZ)), np.nan)
    if track.columns and {*track.columns} <= {*FEATURES}:  # features are what was released
        rows = np.full((len(np.atleast_2d(track.values)), len(FEATURES)), np.nan)
        rows[:, [FEATURES.index(name) for name in track.columns]] = np.asarray(track.values)
    else:
        signals = signals_of(track)
        rows, _ = windows_of(signals, window_s)
        for form, (kind, (_, _, apart_s, _)) in zip(forms, _EVENTS.items(), strict=True):
            if kind in signals:
                values, seen = np.nan_to_num(signals[kind].values), events_of(kind, signals[kind])
                form[:6] = [*np.resize(values.mean(axis=0), 3), *np.resize(np.log(values.std(axis=0) + 1e-6), 3)]
                at = (np.append(seen, 0)[:, None] + apart_s * np.linspace(-0.75, 1.5, 16)) * signals[kind].rate_hz
                around = np.interp(at, np.arange(len(values)), values[:, 0])  # (events, 16)
                form[6:] = np.median((around.T - around.mean(axis=1)) / (around.std(axis=1) + 1e-9), axis=1)
        if "acc" in signals:
            rate_hz, axes = signals["acc"].rate_hz, np.nan_to_num(signals["acc"].values)
            moved = np.column_stack([np.linalg.norm(axes, axis=1), np.resize(axes.T, (3, len(axes))).T])  # (T, 4)
            hz, power = welch(moved, rate_hz, nperseg=min(len(moved), round(1.5 * rate_hz) + 1), axis=0)
            spectra = np.stack([np.interp(_BANDS_HZ, hz, column) for column in np.log(power + 1e-9).T])
    same = np.concatenate([forms.ravel(), spectra.ravel()])
    return np.concatenate([rows, np.tile(same, (len(rows), 1))], axis=1)


def sorted_windows(tracks: Iterable[tuple[str, Track]], window_s: float) -> dict[str, Array]:
    """Return all windows (N, ``FEATURES``) of each person, every feature sorted; NaN come last."""
    of: dict[str, list[Array]] = {}
    for subject, track in tracks:
        with suppress(DataError):  # it is withheld where it is to be hidden
            of.setdefault(subject, []).append(windows_of(signals_of(track), window_s)[0])
    return {subject: np.sort(np.concatenate(parts), axis=0) for subject, parts in of.items() if parts}


def levelled(rows: Array, of: Array, levels: int, rng: np.random.Generator) -> Array:
    """Return (N, ``FEATURES``) as one of so many levels by its rank among the person's own sorted windows.

    The levels are those of somebody usual; ties, such as a night at rest, are broken by chance: none can count them.
    """
    out = np.full(rows.shape, np.nan)
    heights = np.array([NormalDist().inv_cdf((n + 0.5) / levels) for n in range(levels)])
    for n, (mean, spread) in enumerate(USUAL.values()):
        known, there = of[np.isfinite(of[:, n]), n], np.isfinite(rows[:, n])
        first, last = (np.searchsorted(known, rows[there, n], side) for side in ("left", "right"))
        rank = (first + rng.random(len(first)) * (last - first)) / max(1, len(known))
        out[there, n] = mean + spread * heights[(rank * levels).astype(int).clip(0, levels - 1)]
    return out
