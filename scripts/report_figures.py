"""The figures of the report: Matplotlib's, as SVG that a page can hold and a theme can colour.

Every figure is drawn twice, for a wide and for a narrow page, so that its text is nowhere too small
to read. Text stays text, and each colour becomes a custom property of the page's style sheet, so
that one drawing is right in light, in dark and on paper. No kind is told by its colour alone.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

# What Matplotlib draws with, and the custom property of report.html that takes its place.
INK, MUTED, LINE, PAPER = "#1d2126", "#59616b", "#d8dce1", "#ffffff"
BLUE, ORANGE, PURPLE, GREEN = "#0072b2", "#c65200", "#8f4a7a", "#00795a"
PROPERTIES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    BLUE: "blue",
    ORANGE: "orange",
    PURPLE: "purple",
    GREEN: "green",
}
WIDTHS = {"wide": 712, "narrow": 312}  # pixels of the page
ROW, LEGEND = 46, 30  # pixels high
STYLE = {
    "figure.dpi": 72,  # so that a point is a pixel
    "font.family": "DejaVu Sans",  # only measured with: the page's own font takes its place
    "font.size": 13,
    "hatch.linewidth": 1.4,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True)
class Kind:
    """What a part of a bar stands for."""

    label: str
    colour: str
    hatch: str = ""


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart: its parts, in the order of the kinds."""

    name: str
    parts: tuple[float, ...]
    label: str  # at the end of the bar
    note: str  # on the right, where there is room


@dataclass(frozen=True)
class Point:
    """One run of the history; no share where it could not be told."""

    at: datetime
    share: float | None
    label: str


def bars(
    name: str, title: str, rows: Sequence[Bar], kinds: Sequence[Kind], whole: float | None = None
) -> Markup:
    """Return a chart with one bar a row, each on a track as long as the whole, if there is one."""

    def draw(width: int) -> Figure:
        figure, axes = canvas(width, LEGEND + ROW * len(rows), top=LEGEND)
        longest = whole or max(sum(row.parts) for row in rows)
        axes.set(xlim=(0, longest * width / (width - 64)), ylim=(len(rows) - 0.5, -0.5))
        axes.axis("off")
        for index, row in enumerate(rows):
            draw_words(axes, index, row, is_wide=width == WIDTHS["wide"])
            draw_bar(axes, index, row, kinds, whole)
        draw_legend(figure, kinds)
        return figure

    said = "; ".join(f"{row.name} {row.label}, {row.note or 'none'}" for row in rows)
    return both(name, title, said, draw)


def draw_words(axes: Axes, index: int, row: Bar, is_wide: bool) -> None:
    """Write the name above a bar, shortened to its room, and the note on its right."""
    letters = 84 - len(row.note) if is_wide else 38
    name = row.name if len(row.name) <= letters else f"{row.name[: letters - 1].rstrip()}…"
    axes.text(0, index - 0.17, name)
    if is_wide:
        right = {"ha": "right", "transform": axes.get_yaxis_transform()}
        axes.text(1, index - 0.17, row.note, color=MUTED, **right)


def draw_bar(axes: Axes, index: int, row: Bar, kinds: Sequence[Kind], whole: float | None) -> None:
    """Draw one bar: the track, the parts and the label."""
    place = {"y": index + 0.1, "height": 0.3}
    if whole:
        axes.barh(width=whole, color=LINE, **place)
    start = 0.0
    for part, kind in zip(row.parts, kinds, strict=True):
        if part:
            axes.barh(width=part, left=start, **place, **fill(kind))
        start += part
    label_at(axes, row.label, (whole or start, index + 0.1))


def label_at(axes: Axes, label: str, end: tuple[object, float]) -> None:
    """Write a label beside where something ends."""
    beside = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
    axes.annotate(label, end, (9, 0), weight="bold", **beside)


def draw_legend(figure: Figure, kinds: Sequence[Kind]) -> None:
    """Name the kinds in one line at the top."""
    figure.legend(
        handles=[Patch(label=kind.label, **fill(kind)) for kind in kinds],
        loc="upper left",
        bbox_to_anchor=(0, 1),
        ncols=len(kinds),
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.1,
        handletextpad=0.4,
        columnspacing=1,
        labelcolor=MUTED,
    )


def history(name: str, title: str, points: Sequence[Point]) -> Markup:
    """Return the course of a share, 0 to 1, with a cross at the foot where there is none."""
    worst = min((point.share for point in points if point.share is not None), default=1)
    floor = min(max(math.ceil(worst * 20) - 1, 0), 18) / 20  # 5 % steps, below the worst

    def draw(width: int) -> Figure:
        figure, axes = canvas(width, 220, left=52, right=72, top=14, bottom=30)
        axes.set(ylim=(floor, 1), xlim=span(points))
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_yticks([floor, (1 + floor) / 2, 1])
        axes.yaxis.set_major_formatter(lambda share, _: f"{share * 100:.4g} %")
        axes.grid(axis="y", color=LINE)
        axes.tick_params(length=0, pad=7, labelcolor=MUTED)
        mark_ends(axes, points)
        draw_course(axes, points, floor)
        if points[-1].share is not None:
            label_at(axes, points[-1].label, (points[-1].at, points[-1].share))
        return figure

    first, last = points[0], points[-1]
    said = f"{len(points)} points from {first.at:%Y-%m-%d %H:%M} to {last.at:%Y-%m-%d %H:%M} UTC"
    return both(name, title, f"{said}; the last is {last.label}", draw)


def draw_course(axes: Axes, points: Sequence[Point], floor: float) -> None:
    """Draw the line, with a dot for each run while they are few, and the crosses."""
    axes.plot(
        [point.at for point in points],
        [float("nan") if point.share is None else point.share for point in points],
        color=BLUE,
        drawstyle="steps-post",  # what was measured is all that is known until the next run
        linewidth=2,
        marker="o",
        markersize=7 if len(points) <= 30 else 0,
        clip_on=False,
    )
    untold = [point.at for point in points if point.share is None]
    axes.plot(
        untold,
        [floor] * len(untold),
        color=ORANGE,
        linestyle="none",
        marker="X",
        markersize=9,
        clip_on=False,
    )
    last = points[-1]
    if last.share is not None:
        axes.plot([last.at], [last.share], color=BLUE, marker="o", markersize=9, clip_on=False)


def mark_ends(axes: Axes, points: Sequence[Point]) -> None:
    """Label the first and the last moment only: what is between is as far as it looks."""
    ends = [points[0], points[-1]] if points[0].at < points[-1].at else [points[-1]]
    axes.set_xticks([point.at for point in ends])
    form = "%d %b, %H:%M" if ends[0].at.date() == ends[-1].at.date() else "%d %b %Y"
    labels = axes.set_xticklabels([point.at.strftime(form) for point in ends])
    for label, side in zip(labels, ["left", "right"], strict=False):
        label.set_horizontalalignment(side if len(ends) > 1 else "center")


def span(points: Sequence[Point]) -> tuple[datetime, datetime]:
    """Return the first and the last moment, an hour around a single one."""
    first, last = points[0].at, points[-1].at
    half = (last - first) / 2 or mpl.dates.num2timedelta(1 / 48)
    middle = first + (last - first) / 2
    return middle - half, middle + half


# --- Drawing ----------------------------------------------------------------------------------


def canvas(
    width: int, height: int, left: int = 0, right: int = 0, top: int = 0, bottom: int = 0
) -> tuple[Figure, Axes]:
    """Return a figure of so many pixels, with axes that leave these margins."""
    figure = Figure(figsize=(width / 72, height / 72))
    box = (
        left / width,
        bottom / height,
        1 - (left + right) / width,
        1 - (top + bottom) / height,
    )
    return figure, figure.add_axes(box, facecolor="none")


def fill(kind: Kind) -> dict[str, object]:
    """Return how to fill an area of a kind; a hatch is cut out of it, as are the edges."""
    return {"facecolor": kind.colour, "edgecolor": PAPER, "hatch": kind.hatch, "linewidth": 0.8}


# --- SVG --------------------------------------------------------------------------------------


def both(name: str, title: str, said: str, draw: Callable[[int], Figure]) -> Markup:
    """Return a drawing for the wide page and one for the narrow page."""
    return Markup("\n").join(
        svg(f"{name}-{size}", size, title, said, lambda width=width: draw(width))
        for size, width in WIDTHS.items()
    )


def svg(name: str, size: str, title: str, said: str, draw: Callable[[], Figure]) -> Markup:
    """Return a figure as an SVG element that a screen reader reads as one image."""
    file = StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the page's font has it
        figure = draw()
        figure.savefig(file, format="svg", transparent=True, metadata=NO_METADATA)
    box = re.search(r'viewBox="[^"]*"', text := file.getvalue())[0]
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.S)
    body = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*", r"font: \1var(--font)", body)
    for colour, name_of_property in PROPERTIES.items():
        body = body.replace(colour, f"var(--{name_of_property})")
    return Markup(
        f'<svg class="{size}" {box} role="img" aria-labelledby="{name}-title {name}-desc">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-desc">{escape(said)}.</desc>\n{without_unused_ids(body).strip()}'
    )


def without_unused_ids(body: str) -> str:
    """Return SVG without Matplotlib's names of its parts: every figure of a page has the same."""
    used = set(re.findall(r"#([\w-]+)", body))
    return re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", body)
