# SPDX-License-Identifier: Apache-2.0
"""Numbers into tables and pages. A result file says when, on which processor and with which command it was measured, and
holds no path of the machine.
"""
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from harness.limits import explain, limit_s
from harness.links import LINKS
from harness.settings import SETTINGS

OURS = ("tmpdump", "tmpdump-packed")
RESULTS = Path(__file__).resolve().parent.parent / "results"
PLOTS = Path(__file__).resolve().parent.parent / "plots.py"


def machine():
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "memory_gb": round(pages / 1e9),
            "kernel": platform.release().split("-")[0],
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}


# ---- figures --------------------------------------------------------------------------------------------------------

def spread(values, digits=2):
    """median [min..max]; "-" where nothing was measured."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}..{max(values):.{digits}f}]"


def ratio(ours, theirs):
    """Median over the rounds of ours/theirs: the two of one round ran one after the other, in the same weather."""
    pairs = [mine / yours for mine, yours in zip(ours, theirs)]
    return statistics.median(pairs) if pairs else None


def column(cell, peer, key="wall_s"):
    """A figure of all its runs, or [] when it was not measured or did not do its job."""
    found = cell["peers"].get(peer)
    return [run[key] for run in found["runs"]] if found and not found["failure"] else []


def best_peer(data, cell):
    """The name of the quickest that unpacks and is not ours."""
    walls = {name: statistics.median(column(cell, name)) for name, peer in data["peers"].items()
             if name not in OURS and peer["output"] == "tree" and column(cell, name)}
    return min(walls, key=walls.get) if walls else None


def subject(data):
    """The workload that the summary and the main picture show."""
    names = [cell["workload"] for cell in data["cells"]]
    return "torch" if "torch" in names or not names else names[0]


def failures(data):
    return [name for cell in data["cells"] for name, found in cell["peers"].items() if found["failure"]]


def titled(cell):
    return f"{cell['workload']}, {LINKS[cell['link']].title}, {SETTINGS[cell['setting']].title}"


# ---- Markdown -------------------------------------------------------------------------------------------------------

def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def figures_of(data, cell, name):
    peer, found = data["peers"][name], cell["peers"][name]
    if found["failure"]:
        return row([peer["title"], "failed", "", "", "", "", "", "", "", "", found["failure"]])
    wall = column(cell, name)
    limit = limit_s(cell, data["workloads"][cell["workload"]], peer["form"])
    factors = ["" if name == ours else f"{ratio(column(cell, ours), wall):.2f}" if column(cell, ours) else "" for ours in OURS]
    first = [value * 1e3 for value in column(cell, name, "first_s") if value is not None]
    return row([peer["title"], spread(wall), f"{limit:.2f}", f"{statistics.median(wall) / limit:.2f}", *factors, spread(first, 0),
                spread(column(cell, name, "cpu_s")), spread(column(cell, name, "rss_mb"), 0),
                "-" if found["gets"] is None else str(found["gets"]), found["gaps"]])


def table(data, cell):
    facts = data["workloads"][cell["workload"]]
    sizes = ", ".join(f"{size / 1e6:.1f} MB {form}" for form, size in facts["size"].items())
    text = (f"\n### {titled(cell)}\n\n{facts['entries']} entries, {sizes}, {facts['unpacked'] / 1e6:.1f} MB unpacked. Median "
            f"[min..max] of {cell['rounds']} interleaved rounds, {cell['date']}. First wanted: `{facts['first']}`, "
            f"{facts['first_bytes'] / 1e6:.2f} MB.\n\n")
    text += row(["who", "ready, s", "limit, s", "times its limit", "tmpdump / it", "packed / it", "first wanted, ms", "CPU, s",
                 "peak RSS, MB", "GETs", "remarks"]) + "|---" * 11 + "|\n"
    text += "".join(figures_of(data, cell, name) for name in data["peers"] if name in cell["peers"])
    text += "".join(f"\nLimit, {form}: {explain(cell, facts, form)}.\n" for form in facts["size"])
    return text


def overview(data):
    """A line a cell: ours against the limit and the best peer."""
    text = "\n## Overview\n\n" + row(["workload", "link", "setting", "best peer that unpacks, s", "tmpdump, s", "/ peer", "/ limit",
                                      "packed, s", "/ peer", "/ limit"]) + "|---" * 10 + "|\n"
    for cell in data["cells"]:
        best = best_peer(data, cell)
        theirs = column(cell, best) if best else []
        words = [cell["workload"], LINKS[cell["link"]].title, SETTINGS[cell["setting"]].title,
                 f"{statistics.median(theirs):.2f} ({best})" if theirs else "-"]
        for name in OURS:
            mine = column(cell, name)
            if not mine:
                words += ["-", "", ""]
                continue
            limit = limit_s(cell, data["workloads"][cell["workload"]], data["peers"][name]["form"])
            words += [spread(mine), f"{ratio(mine, theirs):.2f}" if theirs else "", f"{statistics.median(mine) / limit:.2f}"]
        text += row(words)
    return text


def summary(data, workload):
    """Who against links: the table that the README shows."""
    cells = [cell for cell in data["cells"] if cell["workload"] == workload and cell["setting"] == "2cores"]
    if not cells:
        return ""
    text = (f"\n## {workload} on every link\n\nSeconds to ready, median [fastest..slowest] of {cells[0]['rounds']} interleaved "
            "rounds.\n\n" + row(["who", *(LINKS[cell["link"]].title for cell in cells)]) + "|---" * (len(cells) + 1) + "|\n")
    for name, peer in data["peers"].items():
        walls = [column(cell, name) for cell in cells]
        if any(walls):
            title = f"**{peer['title']}**" if name in OURS else peer["title"]
            text += row([title, *(spread(wall) if wall else "failed" for wall in walls)])
    facts = data["workloads"][workload]
    for form in facts["size"]:
        text += row([f"*computed limit, {form}*", *(f"{limit_s(cell, facts, form):.2f}" for cell in cells)])
    return text


def shapes(data):
    """The shaped links, as curl saw them before anything was measured."""
    text = "\n## The shaped links, as curl sees them\n\n"
    words = {"first_byte_ms": "median first byte {:.1f} ms", "slow_share": "{:.1%} of the answers slower than 100 ms",
             "connection_mb_s": "{:.1f} MB/s on one connection", "burst_mb_s": "{:.0f} MB/s on ten, for 300 MB",
             "sustained_mb_s": "then {:.1f} MB/s", "cpu_s_per_gb": "{:.2f} s of CPU a GB for the shaping"}
    for link, found in data["shapes"].items():
        text += f"- {LINKS[link].title}: " + ", ".join(words[key].format(value) for key, value in found.items()) + "\n"
    return text if data["shapes"] else ""


def sweep(data):
    found = data.get("sweep")
    if not found:
        return ""
    connections = sorted({point["connections"] for point in found["points"]})
    text = (f"\n## Connections and range size: {found['workload']}, {LINKS[found['link']].title}\n\nMedian seconds to ready of "
            f"{found['rounds']} interleaved rounds.\n\n" + row(["range, MiB", *map(str, connections)]) + "|---" * (len(connections) + 1)
            + "|\n")
    for mib in sorted({point["range_mib"] for point in found["points"]}):
        walls = {point["connections"]: point["wall_s"] for point in found["points"] if point["range_mib"] == mib}
        text += row([str(mib), *(f"{statistics.median(walls[count]):.3f}" for count in connections)])
    return text


def markdown(data):
    at = data["machine"]
    text = (f"# {data['title']}\n\n{at['date']}; {at['cores']} cores of {at['cpu']}, {at['memory_gb']} GB, "
            f"Linux {at['kernel']}; destination on {data['filesystem']}; server and clients on the same cores.\n\n"
            f"`{data['command']}`\n")
    from harness import goals  # which looks at figures as this does

    text += summary(data, subject(data)) + overview(data) + goals.markdown(data) + shapes(data) + sweep(data) + "\n## Cells\n"
    text += "".join(table(data, cell) for cell in data["cells"])
    text += "\n## Versions\n\n"
    for peer in data["peers"].values():
        text += f"- {peer['title']}: {'; '.join(peer['versions']) or '-'}\n"
    for name, reason in data["absent"].items():
        text += f"- {name}: not measured, {reason}\n"
    return text


# ---- files ----------------------------------------------------------------------------------------------------------

def read(folder, name):
    """An earlier result, or None."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def merged(old, new):
    """The new result, with what only the old one has."""
    if not old:
        return new
    measured = {(cell["link"], cell["setting"], cell["workload"]) for cell in new["cells"]}
    kept = [cell for cell in old["cells"] if (cell["link"], cell["setting"], cell["workload"]) not in measured]
    out = {**old, **new, "cells": kept + new["cells"]}
    for key in ("workloads", "peers", "shapes"):
        out[key] = {**old[key], **new[key]}
    out["absent"] = {name: why for name, why in {**old["absent"], **new["absent"]}.items() if name not in out["peers"]}
    if old["command"] != new["command"]:
        out["command"] = f"{old['command']}; {new['command']} --add"
    return out


def write(folder, name, data, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(data) + "\n")
    (folder / f"{name}.md").write_text(text)
    return folder / f"{name}.md"


def draw(python, folder, name):
    """The page and its main picture, by an interpreter that has bench/requirements.txt."""
    subprocess.run([python, PLOTS, folder / f"{name}.json"], check=True, stdout=sys.stderr)
    return [folder / f"{name}.html", folder / f"{name}.svg"]


def write_all(folder, name, data, cache):
    from harness import peers  # which knows how to make the interpreter

    written = write(folder, name, data, markdown(data))
    return [written] + draw(peers.environment_of_python(cache) / "bin" / "python", folder, name)


def save(name, data, cache):
    """Under its date into bench/results/, and its picture where the README shows it."""
    dated = f"{data['machine']['date'][:10]}-{name}"
    written = write_all(RESULTS, dated, data, cache)
    (RESULTS / f"{dated}.html").unlink()  # plots.py makes it of the JSON again
    return written[:1] + [(RESULTS / f"{dated}.svg").rename(RESULTS / f"{name}.svg")]
