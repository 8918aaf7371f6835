"""Draw the rooms of the package and the imports between them: `make docs` writes docs/images/rooms.svg.

An arrow leads from a room to one that it imports from. Arrows that follow from longer ways are left out. A room stands
above all rooms that it imports from, as low as possible.
"""

import sys
from pathlib import Path

import grimp
import networkx as nx

PACKAGE = "softkmeans"
WIDTH, STEP, LEFT = 760, 68, 20  # of the picture, from floor to floor, margin
BOX_HEIGHT, CHARACTER, PADDING = 34, 8.4, 26
STYLE = (
    "text{font:14px ui-monospace,Menlo,Consolas,monospace;text-anchor:middle;dominant-baseline:central}"
    "rect{fill:#eef4fa;stroke:#0072b2}path{fill:none;stroke:#555;stroke-opacity:.55}"
)


def imports() -> "nx.DiGraph[str]":
    """Return the rooms and the imports between them, without those for type checking."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    rooms: nx.DiGraph[str] = nx.DiGraph()
    rooms.add_nodes_from(child.partition(".")[2] for child in graph.find_children(PACKAGE))
    for module in graph.modules - {PACKAGE}:
        for imported in graph.find_modules_directly_imported_by(module) - {PACKAGE}:
            rooms.add_edge(module.split(".")[1], imported.split(".")[1])
    rooms.remove_edges_from(list(nx.selfloop_edges(rooms)))
    return rooms


def floors(rooms: "nx.DiGraph[str]") -> list[list[str]]:
    """Return the rooms of each floor, from the top; each floor in an order with few crossings."""
    height: dict[str, int] = {}
    for room in reversed(list(nx.topological_sort(rooms))):
        height[room] = 1 + max((height[below] for below in rooms.successors(room)), default=-1)
    found = [sorted(room for room in rooms if height[room] == h) for h in range(max(height.values()), -1, -1)]
    place = {room: (i + 1) / (len(floor) + 1) for floor in found for i, room in enumerate(floor)}
    for _ in range(20):  # each room moves to the middle of its neighbors
        for floor in found:
            middle = {}
            for room in floor:
                near = [*rooms.predecessors(room), *rooms.successors(room)]
                middle[room] = sum(place[other] for other in near) / max(len(near), 1)
            floor.sort(key=lambda room: (round(middle[room], 9), room))
            place |= {room: (i + 1) / (len(floor) + 1) for i, room in enumerate(floor)}
    return found


def draw(rooms: "nx.DiGraph[str]") -> str:
    """Return the picture as SVG."""
    arrows: nx.DiGraph[str] = nx.transitive_reduction(rooms)
    found = floors(arrows)
    at = {}
    for i, floor in enumerate(found):
        shift = (i % 2) * 90 - 45 if len(floor) == 1 else 0  # rooms alone stand beside the arrows that pass
        for j, room in enumerate(floor):
            at[room] = ((j + 1) / (len(floor) + 1) * WIDTH + shift, LEFT + BOX_HEIGHT / 2 + i * STEP)
    height = 2 * LEFT + BOX_HEIGHT + (len(found) - 1) * STEP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>The rooms of the package; an arrow leads to a room that is imported</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#555;stroke:none"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" style="fill:#fff;stroke:none"/>',
    ]
    for above, below in sorted(arrows.edges):
        (x0, y0), (x1, y1) = at[above], at[below]
        start, end = y0 + BOX_HEIGHT / 2, y1 - BOX_HEIGHT / 2 - 2
        bend = max(STEP - BOX_HEIGHT, (end - start) / 2.2)
        curve = f"M{x0:.0f} {start:.0f}C{x0:.0f} {start + bend:.0f} {x1:.0f} {end - bend:.0f} {x1:.0f} {end:.0f}"
        lines.append(f'<path d="{curve}" marker-end="url(#tip)"/>')
    for room, (x, y) in sorted(at.items()):
        width, top = CHARACTER * len(room) + PADDING, y - BOX_HEIGHT / 2
        box = f'<rect x="{x - width / 2:.0f}" y="{top:.0f}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="6"/>'
        lines.append(f'{box}<text x="{x:.0f}" y="{y:.0f}">{room}</text>')
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    """Write the picture to the file that the command line names."""
    Path(sys.argv[1]).write_text(draw(imports()), encoding="utf-8")


if __name__ == "__main__":
    main()
