"""What single answers rest on, drawn over the recording, and told on a page of its own and in the report."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from personare.core.types import Array
from personare.evaluate.attribution import Attribution, Part
from personare.report import words
from personare.report.plots import COLORS, drawing

__all__ = ["draw_attribution", "explanation_page", "explanations_of"]

_LINES = 4  # of a signal that are drawn


@drawing()
def draw_attribution(one: Attribution, recording: Array) -> bytes:
    """Draw how much each part counts over the recording, as a PNG.

    ``recording`` is a signal (T, D), a spectrogram (F, T), pictures (K, H, W, 3) uint8, or of no matter for names.
    """
    if one.form == "picture":
        figure = _over_pictures(one, recording)
    elif one.form == "names":
        figure = Figure(figsize=(7.2, 0.9 + 0.24 * len(one.parts)), layout="constrained", facecolor="white")
        axes = figure.subplots()
        _bars(axes.barh, range(len(one.parts)), one.parts, 0.7)
        axes.set_yticks(range(len(one.parts)), [part.name for part in one.parts])
        axes.invert_yaxis()
        axes.axvline(0, color=COLORS["muted"], linewidth=0.8)
        axes.set_xlabel(one.unit)
    else:
        figure = _over_time(one, recording)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    return stream.getvalue()


def _bars(draw: Any, places: Any, parts: Sequence[Part], width: Any) -> None:
    draw(places, [p.value for p in parts], width, color=[COLORS["risk" if p.value > 0 else "muted"] for p in parts])


def _over_time(one: Attribution, recording: Array) -> Figure:
    figure = Figure(figsize=(7.2, 3.2), layout="constrained", facecolor="white")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
    begin, end = one.parts[0].begin, one.parts[-1].end
    if one.form == "spectrogram":
        above.imshow(recording, origin="lower", aspect="auto", extent=(begin, end, 0, len(recording)), cmap="gray_r")
    else:
        low, high = np.nanmin(recording, axis=0), np.nanmax(recording, axis=0)
        scaled = (recording - low) / np.maximum(high - low, 1e-9)  # of different units, each at its own scale
        above.plot(np.linspace(begin, end, len(recording)), scaled[:, :_LINES], color=COLORS["ink"], linewidth=0.7)
    above.set_yticks([])
    most = max(part.value for part in one.parts)
    for part in (part for part in one.parts if part.value > 0):
        above.axvspan(part.begin, part.end, color=COLORS["risk"], alpha=0.4 * part.value / most, linewidth=0)
    bars = [part.begin for part in one.parts], one.parts, [part.end - part.begin for part in one.parts]
    _bars(lambda *given, **how: below.bar(*given, align="edge", edgecolor="white", **how), *bars)
    below.axhline(0, color=COLORS["muted"], linewidth=0.8)
    below.set(
        xlim=(begin, end), xlabel="steps" if one.parts[0].name.startswith("steps") else "seconds", ylabel="falls by"
    )
    return figure


def _over_pictures(one: Attribution, pictures: Array) -> Figure:
    """Draw pictures of the clip, and over each the fields that count for the answer."""
    figure = Figure(figsize=(7.2, 2.3), layout="constrained", facecolor="white")
    side = round(len(one.parts) ** 0.5)
    values = np.maximum(np.reshape([part.value for part in one.parts], (side, side)), 0)
    for number, axes in enumerate(figure.subplots(1, 4)):
        if number < len(pictures):
            size = (0.0, 1.0, 1.0, 0.0)
            axes.imshow(pictures[number], extent=size)
            over = {"cmap": "Oranges", "alpha": 0.6 * values / max(values.max(), 1e-12), "interpolation": "nearest"}
            axes.imshow(values, extent=size, **over)
        axes.set_axis_off()
    return figure


def explanation_page(item: str, entries: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Return a page that tells what was explained of an item; its pictures lie in the folder."""
    template = words.templates().get_template("explanation.html")
    style = Markup(words.text("style.css"))
    return template.render(item=item, entries=[_embedded(entry, folder) for entry in entries], style=style, alone=True)


def explanations_of(run: Path) -> list[dict[str, Any]]:
    """Return what was explained in a run and may be sent, by item, with its pictures."""
    told = [(json.loads(p.read_text(encoding="utf-8")), p.parent) for p in run.glob("explanations/*/explanation.json")]
    items = {content["item"]: [_embedded(e, folder) for e in content["explanations"]] for content, folder in told}
    return [{"item": item, "entries": entries} for item, entries in sorted(items.items())]


def _embedded(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    data = base64.b64encode((folder / Path(entry["picture"]).name).read_bytes()).decode() if entry["picture"] else ""
    return {**entry, "source": data and f"data:image/png;base64,{data}"}
