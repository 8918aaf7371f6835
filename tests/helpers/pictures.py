"""Texts of pictures, and where they are."""

from itertools import combinations

from matplotlib.text import Text


def texts_of(figure):
    """Return the texts that a figure shows, after it is drawn."""
    figure.canvas.draw()
    ticks = {id(text) for ax in figure.axes for text in _hidden_ticks(ax)}
    found = [text for text in figure.findobj(Text) if text.get_text().strip() and _is_shown(text)]
    return [text for text in found if id(text) not in ticks]


def boxes(texts):
    """Return the extents of texts in pixels."""
    texts[0].figure.canvas.draw()
    return [Text.get_window_extent(text) for text in texts]  # the extent of an annotation includes its arrow


def overlaps(texts, slack=0.0):
    """Return the pairs of texts whose boxes overlap, each box made smaller by some pixels."""
    found = [box.padded(-slack) for box in boxes(texts)]
    pairs = combinations(range(len(texts)), 2)
    return [(texts[i].get_text(), texts[j].get_text()) for i, j in pairs if found[i].overlaps(found[j])]


def _is_shown(artist):
    while artist is not None:
        if not artist.get_visible():
            return False
        artist = getattr(artist, "axes", None) if artist is not getattr(artist, "axes", None) else None
    return True


def _hidden_ticks(ax):
    """Return the labels of ticks outside of the range of their axis, which are not drawn."""
    for axis in (ax.xaxis, ax.yaxis):
        shown = {id(tick) for tick in axis._update_ticks()}
        for tick in [*axis.majorTicks, *axis.minorTicks]:
            if id(tick) not in shown:
                yield from (tick.label1, tick.label2)
