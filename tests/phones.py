"""Made-up people with a phone: home, work, a few other places, hours and habits of their own."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from personare.core.types import Cohort, Recording, Track
from personare.data.cohort import CohortWriter, recording_id
from personare.features.phone import COLUMNS, HOUR_HZ
from personare.govern.consent import consent_all

TOWN = np.array([43.7, -72.3])
_RATES = (0.15, 0.6, 2.0, 8.0, 6.0)  # calls, messages, apps, moving, talk_min of a waking hour
_MONDAY_S = 1364169600.0  # 25 March 2013


def person(rng: np.random.Generator, works: np.ndarray, weeks: int) -> list[Track]:
    """Weeks of one person, a track each."""
    home = TOWN + rng.normal(0, 0.05, 2)
    work, *others = works[rng.integers(len(works), size=4)]
    hours = rng.normal([7.5, 23.3, 9, 17], 1)  # awake from, to; at work from, to
    rates = np.exp(rng.normal(np.log(_RATES), 0.5))
    tracks = []
    for week in range(weeks):
        rows = np.full((168, len(COLUMNS)), np.nan)
        for day in range(7):
            up, bed, start, end = hours + rng.normal(0, 0.7, 4)
            out = rng.integers(9)  # a third of the evenings are spent elsewhere
            for hour in range(24):
                awake, row = up <= hour < bed, rows[24 * day + hour]
                away = out < len(others) and end <= hour < end + 2
                place = work if day < 5 and start <= hour < end else others[out] if away else home
                row[:5] = rng.poisson(rates * awake * (1.5 if day > 4 else 1))
                row[5] = np.clip(rng.normal(20 if awake else 58, 8), 0, 60)
                if rng.random() < 0.8:
                    row[6:] = place + rng.normal(0, 2e-4, 2)
        how = {"columns": COLUMNS, "rate_hz": HOUR_HZ, "start_s": _MONDAY_S + week * 168 * 3600}
        tracks.append(Track(kind="signal", values=rows.astype(np.float32), **how))
    return tracks


def crowd(people: int, *, weeks: int = 3, seed: int = 0) -> list[tuple[str, Track]]:
    """Subject and week of people who share twelve places of work."""
    rng = np.random.default_rng(seed)
    works = TOWN + rng.normal(0, 0.03, (12, 2))
    return [(f"{p:03d}", track) for p in range(people) for track in person(rng, works, weeks)]


def stressed(people: list[tuple[str, Track]], *, hours: int = 3, seed: int = 0) -> list[tuple[str, Track, str]]:
    """Subject, week and ``stress`` of it: in half of the weeks everything that a phone does is done hours later."""
    late = np.random.default_rng(seed).permuted([n % 2 for n in range(len(people))])
    return [
        (who, replace(track, values=np.roll(track.values, hours * is_late, axis=0)), ("rest", "stress")[is_late])
        for (who, track), is_late in zip(people, late, strict=True)
    ]


def write_cohort(root: Path, weeks: Iterable[tuple[str, Track, str]]) -> Cohort:
    """Write a cohort of weeks, each with a label ``stress``; empty for none."""
    writer, subjects = CohortWriter(root, name="phones", description={"Tracks": {"phone": "phone"}}), dict[str, None]()
    for subject, track, stress in weeks:
        subjects[subject] = None
        name = (subject, "01", f"week{pd.Timestamp(track.start_s, unit='s'):%Y%m%d}")
        path = writer.path(name, "phone", ".npy")
        np.save(path, track.values)
        about = {"SamplingFrequency": track.rate_hz, "StartTime": track.start_s, "Columns": track.columns}
        path.with_suffix(".json").write_text(json.dumps(about))
        tracks, labels = {"phone": path.relative_to(root).as_posix()}, {"stress": stress} if stress else {}
        writer.add(Recording(id=recording_id(*name), subject=subject, session="01", tracks=tracks, labels=labels))
    return writer.finish(pd.DataFrame(index=[*subjects]), consent_all([*subjects], ["anonymization", "evaluation"]))
