# SPDX-License-Identifier: Apache-2.0
"""Numbers into tables. A result file says when, on which processor and with which command it was measured, and holds
no path of the machine.
"""
import datetime
import json
import os
import platform
import statistics
from pathlib import Path

from harness.links import LINKS

OURS = "tmpdump"


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


def spread(values, digits=2):
    """median [min..max]"""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}..{max(values):.{digits}f}]"


def ratio(ours, theirs):
    """Median over the rounds of ours/theirs: the two of one round ran one after the other, in the same weather."""
    pairs = [mine / yours for mine, yours in zip(ours, theirs)]
    return statistics.median(pairs) if pairs else None


def good(results, link, workload, peer):
    """The runs of one cell, or [] when it was not measured or did not do its job."""
    cell = results.get(link, {}).get(workload, {}).get(peer)
    return cell["runs"] if cell and not cell["failure"] else []


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def limit(link, workload):
    rate = LINKS[link][2]
    return f"{workload['packed'] * 8 / rate:.2f}" if rate else "-"


def table(data, link, workload):
    peers, results = data["peers"], data["results"]
    facts = data["workloads"][workload]
    text = (f"\n### {workload}, {LINKS[link][0]}\n\n{facts['entries']} entries, {facts['packed'] / 1e6:.1f} MB of zip, "
            f"{facts['unpacked'] / 1e6:.1f} MB unpacked. Median [min..max] of {data['rounds']} interleaved rounds.\n\n")
    text += row(["who", "wall, s", "ours / theirs", "CPU, s", "peak RSS, MB", "remarks"]) + "|---|---|---|---|---|---|\n"
    mine = [run["wall_s"] for run in good(results, link, workload, OURS)]
    for name, peer in peers.items():
        cell = results[link][workload].get(name)
        if cell is None:
            continue
        if cell["failure"]:
            text += row([peer["title"], "failed", "", "", "", cell["failure"]])
            continue
        runs = cell["runs"]
        wall = [run["wall_s"] for run in runs]
        factor = ratio(mine, wall) if mine and name != OURS else None
        text += row([peer["title"], spread(wall), f"{factor:.2f}" if factor else "",
                     spread([run["cpu_s"] for run in runs]), spread([run["rss_mb"] for run in runs], 0),
                     cell["gaps"] or ""])
    if LINKS[link][2]:
        text += row(["the archive's bytes at the link's rate", limit(link, facts), "", "", "", "computed"])
    return text


def markdown(data):
    at = data["machine"]
    text = (f"# {data['title']}\n\n{at['date']}; {at['cores']} cores of {at['cpu']}, {at['memory_gb']} GB, "
            f"Linux {at['kernel']}; destination on {data['filesystem']}.\n\n`{data['command']}`\n")
    for link, workloads in data["results"].items():
        for workload in workloads:
            text += table(data, link, workload)
    text += "\n### Versions\n\n"
    for peer in data["peers"].values():
        text += f"- {peer['title']}: {'; '.join(peer['versions']) or '-'}\n"
    for name, reason in data["absent"].items():
        text += f"- {name}: not measured, {reason}\n"
    return text


def write(folder, name, data, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")
    (folder / f"{name}.md").write_text(text)
    return folder / f"{name}.md"
