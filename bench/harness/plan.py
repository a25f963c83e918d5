# SPDX-License-Identifier: Apache-2.0
"""What is measured when nobody says it, and what is left of it when somebody does."""
from dataclasses import dataclass

from harness import links, settings

EVERYWHERE = ["free", "600mbit", "lambda", "lambda-tls"]
# `one` is a GB. Left out is who would need it in a heap, and who downloads or unpacks as one of these does, but more slowly.
ONE = ["tmpdump", "tmpdump-packed", "curl", "curl-bsdtar", "s5cmd-ripunzip", "ripunzip-uri"]


@dataclass(frozen=True)
class Cell:
    link: str
    setting: str
    workload: str

    @property
    def key(self):
        return (self.link, self.setting, self.workload)


DEFAULT = (
    [Cell(link, "2cores", workload) for link in EVERYWHERE for workload in ("torch", "face", "onnx")]
    + [Cell(link, "2cores", workload) for link in ("free", "lambda") for workload in ("many", "one")]
    + [Cell("lambda", setting, "torch") for setting in ("1core", "1gb")]
)
QUICK = [Cell(link, "2cores", "tiny") for link in EVERYWHERE] + [Cell("lambda", "1core", "tiny")]
QUICK_PEERS = ["tmpdump", "tmpdump-packed", "curl", "curl-bsdtar", "s5cmd-unzip"]


def cells(workloads=None, on_links=None, in_settings=None):
    """The default's cells that fit; or, with workloads that it does not have there, the product of what is asked for."""
    if not (workloads or on_links or in_settings):
        return DEFAULT
    chosen = [cell for cell in DEFAULT
              if (not workloads or cell.workload in workloads) and (not on_links or cell.link in on_links)
              and (not in_settings or cell.setting in in_settings)]
    if workloads and (on_links or in_settings) or not chosen:
        return [Cell(link, setting, workload)
                for link in on_links or EVERYWHERE for setting in in_settings or ["2cores"]
                for workload in workloads or ["torch", "face"]]
    return chosen


def shown_link(chosen):
    """The link of which a run is traced, and connections and range sizes are swept."""
    names = [cell.link for cell in chosen]
    return "lambda" if "lambda" in names else names[0]


def peers_of(cell, asked):
    return [name for name in asked if cell.workload != "one" or name in ONE]


assert all(cell.link in links.LINKS and cell.setting in settings.SETTINGS for cell in DEFAULT)
