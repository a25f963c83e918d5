#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/plots.py RESULT.json: draws RESULT.svg, the main picture, and RESULT.html, one self-contained page with all of them.

Needs bench/requirements.txt; ./dev bench calls it with the right interpreter.
"""
import html
import io
import json
import re
import statistics
import sys
from pathlib import Path

import matplotlib

from harness import report
from harness.limits import limit_s
from harness.links import LINKS
from harness.settings import SETTINGS

matplotlib.use("svg")
# Text stays text; the same figures give the same bytes.
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "tmpdump", "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"], "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left"})

from matplotlib import pyplot  # noqa: E402  (after the back end is chosen)

INK, OURS, PACKED, DOWNLOAD, PEER, LIMIT = "#1f2933", "#0b6e4f", "#3fa34d", "#c3cbd3", "#8794a3", "#c2410c"
SHORT = {
    "tmpdump": "tmpdump", "tmpdump-packed": "tmpdump, packed", "curl": "curl (unpacks nothing)", "curl-bsdtar": "curl | bsdtar",
    "s5cmd-ripunzip": "s5cmd tuned + ripunzip", "s5cmd-default-ripunzip": "s5cmd + ripunzip", "ripunzip-uri": "ripunzip unzip-uri",
    "s5cmd-unzip": "s5cmd + unzip", "original": "original (JVM)", "aws-unzip": "aws s3 cp + unzip",
    "aws-tuned-unzip": "aws s3 cp tuned + unzip"}


def color_of(name):
    return {"tmpdump": OURS, "tmpdump-packed": PACKED, "curl": DOWNLOAD}.get(name, PEER)


def svg_of(figure):
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    pyplot.close(figure)
    return out.getvalue()[out.getvalue().index("<svg"):]


def bars(axes, data, cell, names, title):
    """Medians with whiskers from the fastest to the slowest run; a mark on each form's limit."""
    facts = data["workloads"][cell["workload"]]
    walls = [report.column(cell, name) for name in names]
    medians = [statistics.median(values) if values else 0 for values in walls]
    places = range(len(names))
    axes.barh(places, medians, color=[color_of(name) for name in names], height=0.68)
    longest = max([max(values) for values in walls if values] + [limit_s(cell, facts, "stock")])
    for place, name, values, median in zip(places, names, walls, medians):
        if not values:
            axes.text(longest * 0.01, place, "failed", va="center", color=LIMIT)
            continue
        axes.plot([min(values), max(values)], [place, place], color=INK, linewidth=1, solid_capstyle="butt")
        axes.text(max(values) + longest * 0.02, place, f"{median:.2f}", va="center", color=INK)
        if name in report.OURS:
            limit = limit_s(cell, facts, data["peers"][name]["form"])
            axes.plot([limit, limit], [place - 0.45, place + 0.45], color=LIMIT, linewidth=2)
    axes.set_yticks(list(places), [SHORT[name] for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.14)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title)
    axes.set_xlabel("seconds to ready")


def names_in(data, cells):
    return [name for name in data["peers"] if any(name in cell["peers"] for cell in cells)]


def bars_of(data, cells, columns, title):
    """One picture; every panel names the peers only where its row begins."""
    rows = (len(cells) + columns - 1) // columns
    names = names_in(data, cells)
    figure, grid = pyplot.subplots(rows, columns, figsize=(3.0 * columns + 1.6, (0.24 * len(names) + 0.9) * rows), squeeze=False,
                                   layout="constrained")
    for number, axes in enumerate(grid.flat):
        if number >= len(cells):
            axes.remove()
            continue
        present = [name for name in names if name in cells[number]["peers"]]
        bars(axes, data, cells[number], present, title(cells[number]))
        if number % columns and present == names:
            axes.set_yticklabels([])
    return svg_of(figure)


def main_picture(data):
    """The biggest workload on every link, for the README."""
    cells = [cell for cell in data["cells"] if cell["setting"] == "2cores"]
    subject = report.subject(data)
    chosen = [cell for cell in cells or data["cells"] if cell["workload"] == subject and cell["link"] != "lambda-tls"]
    return bars_of(data, chosen or data["cells"][:1], min(3, max(1, len(chosen))),
                   lambda cell: f"{cell['workload']}: {LINKS[cell['link']].title}")


def all_bars(data):
    """[(heading, picture)], one for each link and setting."""
    out = []
    for key in dict.fromkeys((cell["link"], cell["setting"]) for cell in data["cells"]):
        cells = [cell for cell in data["cells"] if (cell["link"], cell["setting"]) == key]
        heading = f"{LINKS[key[0]].title}, {SETTINGS[key[1]].title}"
        out.append((heading, bars_of(data, cells, min(2, len(cells)), lambda cell: cell["workload"])))
    return out


# ---- the waterfall --------------------------------------------------------------------------------------------------

GROUPS = {"connections": "#4c78a8", "ranges": "#f2a541", "decoders": OURS, "files": INK}
# On a connection: what it does before bytes flow.
WAITING = {"connect": "#8794a3", "first byte": "#cfdbe8", "refused": "#e7b9a5"}


def rows_of(events, group, merge):
    """{row: [event]} of a group; merge: rows that do not overlap share one."""
    rows = {}
    for event in sorted((event for event in events if event.get("cat") == group), key=lambda event: event["ts"]):
        rows.setdefault(event["tid"] % 1_000_000, []).append(event)
    if not merge:
        return rows
    lanes = []
    for row in sorted(rows.values(), key=lambda row: row[0]["ts"]):
        end = max(event["ts"] + event.get("dur", 0) for event in row)
        lane = next((lane for lane in lanes if lane[0] <= row[0]["ts"]), None)
        if lane is None:
            lanes.append([end, list(row)])
        else:
            lane[0], lane[1] = end, lane[1] + row
    return dict(enumerate(lane[1] for lane in lanes))


def waterfall(found):
    """Time goes right; each connection, range, and decoder has a row, the files share one."""
    events = [event for event in found["events"] if event["ph"] in "Xi"]
    figure, axes = pyplot.subplots(figsize=(9.6, 5.2), layout="constrained")
    place, ticks = 0, []
    for group, color in GROUPS.items():
        rows = rows_of(events, group, merge=group == "ranges")
        top = place
        for _, row in sorted(rows.items()):
            spans = [event for event in row if event["ph"] == "X"]
            axes.broken_barh([(event["ts"] / 1e3, event["dur"] / 1e3) for event in spans], (place, 0.8), edgecolors="white",
                             facecolors=[WAITING.get(event["name"], color) if group == "connections" else color for event in spans],
                             linewidth=0.3 if len(spans) < 200 else 0)
            axes.plot([event["ts"] / 1e3 for event in row if event["ph"] == "i"],
                      [place + 0.4] * sum(event["ph"] == "i" for event in row), "|", color=color, markersize=7)
            place += 1
        if place > top:
            ticks.append(((top + place - 0.2) / 2, group))
            place += 0.6
    axes.set_yticks([tick for tick, _ in ticks], [name for _, name in ticks])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, None)
    axes.set_xlabel("milliseconds since the first event")
    axes.set_title(f"{found['workload']}, {LINKS[found['link']].title}: one run of {found['wall_s']:.2f} s")
    return svg_of(figure)


# ---- the sweep ------------------------------------------------------------------------------------------------------

def sweep(found):
    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    sizes = sorted({point["range_mib"] for point in found["points"]})
    colors = dict(zip(sizes, ["#c6dbef", "#9ecae1", "#6baed6", OURS, "#08306b"]))
    for mib in sizes:
        points = sorted((point["connections"], point["wall_s"]) for point in found["points"] if point["range_mib"] == mib)
        counts = [count for count, _ in points]
        medians = [statistics.median(walls) for _, walls in points]
        axes.plot(counts, medians, "o-", color=colors.get(mib, PEER), linewidth=2.4 if mib == 8 else 1.4, markersize=4,
                  label=f"{mib} MiB" + (" (default)" if mib == 8 else ""))
        if mib == 8:
            axes.fill_between(counts, [min(walls) for _, walls in points], [max(walls) for _, walls in points], color=OURS,
                              alpha=0.15, linewidth=0)
    axes.set_xticks(sorted({point["connections"] for point in found["points"]}))
    # A connection alone takes many times as long: the curve leaves the picture, so that the choice can be seen.
    best = min(statistics.median(point["wall_s"]) for point in found["points"])
    axes.set_ylim(0, best * 2.6)
    axes.axvline(6, color=LIMIT, linewidth=1, linestyle="--")
    axes.annotate("default: at most 6", (6, best * 2.6), xytext=(4, -10), textcoords="offset points", color=LIMIT)
    axes.set_xlabel("connections")
    axes.set_ylabel("seconds to ready, median")
    axes.legend(title="range size", frameon=False)
    axes.set_title(f"{found['workload']}, {LINKS[found['link']].title}")
    return svg_of(figure)


# ---- the page -------------------------------------------------------------------------------------------------------

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 1120px; margin: 2em auto; padding: 0 1em; background: #fff }
table { border-collapse: collapse; font-size: 13px; margin: 1em 0; display: block; overflow-x: auto }
th, td { padding: 3px 9px; text-align: left; border-bottom: 1px solid #dde2e7 }
th { border-bottom: 2px solid #8794a3 }
code { background: #f1f3f5; padding: 0 3px } h2 { margin-top: 2em } svg { max-width: 100%; height: auto }
.key span { display: inline-block; width: 12px; height: 12px; margin: 0 4px 0 14px }
"""


def inline(text):
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text, quote=False))
    text = re.sub(r"^\*\*(.*)\*\*$", r"<b>\1</b>", text)
    return re.sub(r"^\*(.*)\*$", r"<i>\1</i>", text)


def page_of(markdown):
    """The few forms of Markdown that report.py writes."""
    out, table = [], []
    for line in [*markdown.split("\n"), ""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not all(set(cell) <= {"-"} and cell for cell in cells):
                kind = "th" if not table else "td"
                table.append("<tr>" + "".join(f"<{kind}>{inline(cell)}</{kind}>" for cell in cells) + "</tr>")
            continue
        if table:
            out.append("<table>" + "".join(table) + "</table>")
            table = []
        heading = re.match(r"(#+) (.*)", line)
        if heading:
            level = len(heading[1])
            out.append(f"<h{level}>{inline(heading[2])}</h{level}>")
        elif line:
            out.append(f"<p>{inline(line.removeprefix('- '))}</p>")
    return "\n".join(out)


def key():
    return "<p class=key>" + "".join(f'<span style="background:{color}"></span>{words}' for color, words in (
        (OURS, "tmpdump"), (PACKED, "the same, archive made by tmpdump pack"), (PEER, "peers"), (DOWNLOAD, "downloads only"),
        (LIMIT, "the computed limit"))) + "; lines: fastest to slowest run</p>"


def waterfall_key():
    return "<p class=key>" + "".join(f'<span style="background:{color}"></span>{words}' for color, words in (
        (WAITING["connect"], "connecting"), (WAITING["first byte"], "waiting for the first byte"),
        (WAITING["refused"], "asked beyond the end"), (GROUPS["connections"], "receiving"), (GROUPS["ranges"], "a range, from asking to its end"),
        (GROUPS["decoders"], "decoding"))) + "; marks: files published</p>"


def page(data):
    text = report.markdown(data)
    head, rest = text.split("\n## Cells\n", 1)
    pictures = ["<h2>Time to ready</h2>", key()]
    for heading, picture in all_bars(data):
        pictures += [f"<h3>{html.escape(heading)}</h3>", picture]
    if "waterfall" in data:
        pictures += ["<h2>One run: connections, ranges, decoders, files</h2>", waterfall_key(), waterfall(data["waterfall"])]
    if "sweep" in data:
        pictures += ["<h2>Why six connections and 8 MiB</h2>", sweep(data["sweep"])]
    return (f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{html.escape(data['title'])}</title>"
            f"<style>{STYLE}</style>\n{page_of(head)}\n" + "\n".join(pictures) + f"\n<h2>Cells</h2>\n{page_of(rest)}\n</html>\n")


def main():
    result = Path(sys.argv[1])
    data = json.loads(result.read_text())
    result.with_suffix(".svg").write_text(main_picture(data))
    result.with_suffix(".html").write_text(page(data))


if __name__ == "__main__":
    main()
