# SPDX-License-Identifier: Apache-2.0
"""What tmpdump is held to, and whether a result meets it. Medians of ratios within rounds."""
import statistics

from harness.limits import limit_s
from harness.links import LINKS
from harness.report import OURS, best_peer, column, ratio

RSS_MB = 64 * 1.048576  # 64 MiB


def goals(data):
    """[(what, found, at most)] of everything that the result has figures for."""
    out = []
    for cell in data["cells"]:
        out += [(f"{cell['workload']}, {cell['link']}, {cell['setting']}: {what}", found, most)
                for what, found, most in _of_cell(data, cell) if found is not None]
    peaks = [value for cell in data["cells"] for name in OURS for value in column(cell, name, "rss_mb")]
    if peaks:
        out.append(("everywhere: peak RSS, MB", max(peaks), RSS_MB))
    return out


def _of_cell(data, cell):
    facts, link, workload = data["workloads"][cell["workload"]], cell["link"], cell["workload"]
    best = best_peer(data, cell)

    def against(ours, name):
        theirs = column(cell, name) if name else []
        return ratio(column(cell, ours), theirs) if theirs and column(cell, ours) else None

    if link == "600mbit" and column(cell, "tmpdump"):
        yield "tmpdump / limit", statistics.median(column(cell, "tmpdump")) / limit_s(cell, facts, "stock"), 1.05
        yield "tmpdump / curl of the same archive", against("tmpdump", "curl"), 1.05
    if link == "600mbit" and workload in ("torch", "face"):
        yield "packed / curl of the stock archive", against("tmpdump-packed", "curl"), 0.72
    if workload == "many":
        yield f"tmpdump / {best}", against("tmpdump", best), 0.5
    elif workload == "one":
        yield "tmpdump / curl", against("tmpdump", "curl"), 1.05
    elif LINKS[link].shape:
        yield f"tmpdump / {best}", against("tmpdump", best), 0.5
        yield f"packed / {best}", against("tmpdump-packed", best), 0.3
    elif link == "free" and workload == "torch":
        yield f"tmpdump / {best}", against("tmpdump", best), 0.5
        yield f"packed / {best}", against("tmpdump-packed", best), 0.25
        yield "tmpdump / original", against("tmpdump", "original"), 0.2
        yield "packed / tmpdump", against("tmpdump-packed", "tmpdump"), 0.6
    if workload == "torch" and column(cell, "tmpdump", "cpu_s"):
        yield ("CPU of tmpdump / of decoding alone",
               statistics.median(column(cell, "tmpdump", "cpu_s")) / cell["decode_cpu_s"]["stock"], 1.25)
    if LINKS[link].shape and workload not in ("many", "one") and column(cell, "tmpdump-packed", "first_s"):
        # The bytes of the one library, on one connection, and three first bytes.
        most = 3 * LINKS[link].latency_s + facts["first_packed_bytes"] / LINKS[link].connection_rate
        yield "first wanted library in front, ms", statistics.median(column(cell, "tmpdump-packed", "first_s")) * 1e3, most * 1e3


def markdown(data):
    found = goals(data)
    if not found:
        return ""
    text = "\n## Goals\n\n| goal | found | at most | |\n|---|---|---|---|\n"
    for what, value, most in found:
        digits = 0 if most > 10 else 3
        text += f"| {what} | {value:.{digits}f} | {most:.{digits}f} | {'met' if value <= most else 'missed'} |\n"
    return text
