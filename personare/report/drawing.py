"""The report's colors and style, and figures as small SVG that lives inside the page: its type, its own ids."""

import io
import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from importlib import resources
from typing import Any, cast

import matplotlib
from matplotlib.figure import Figure

__all__ = ["COLORS", "drawing", "to_svg"]

COLORS: Mapping[str, str] = dict(
    re.findall(
        r"--([\w-]+):(#[0-9a-f]{6})",
        (resources.files("personare.report") / "style.css").read_text(encoding="utf-8").partition("}")[0],
    )
)
"""Roles and their colors in the light theme, as ``style.css`` names them; inside the page each follows the theme.

Blue and vermilion stay apart for color-blind readers; every difference is also one of shape or fill.
"""
_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.edgecolor": COLORS["muted"],
    "axes.labelcolor": COLORS["ink"],
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "xtick.color": COLORS["muted"],
    "ytick.color": COLORS["muted"],
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": COLORS["ink"],
    "text.parse_math": False,
    "figure.dpi": 72,
    "svg.fonttype": "none",
}
_ids = itertools.count(1)


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style inside this block."""
    with matplotlib.rc_context(cast(Any, _STYLE)):
        yield


def to_svg(figure: Figure, *, title: str) -> str:
    """Return a figure drawn inside ``drawing()`` as an ``<svg>`` element for the page.

    Colors become CSS variables ``--ink`` and so on, ids are unique in the process; ``title`` says in words what the
    picture shows, for those who cannot see it.
    """
    stream = io.StringIO()
    with drawing():
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    prefix = f"f{next(_ids)}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    svg = re.sub(r"font: ?([\d.]+px) 'DejaVu Sans'[^;\"]*", r"font-size: \1; font-family: inherit", svg)
    svg = re.sub(r"font-family: ?'DejaVu Sans'[^;\"]*", "font-family: inherit", svg)
    for role, color in COLORS.items():
        svg = svg.replace(color, f"var(--{role})")
    head, rest = re.sub(r"\s*\n\s*", "\n", svg).split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(title, quote=True)}">{rest}'
