# SPDX-License-Identifier: Apache-2.0
"""The page of a result: every picture is drawn, and holds what the result has."""
import re
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

import workloads
from harness import peers, report


class Page(unittest.TestCase):
    """By the interpreter that draws it, of a result that is made up."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        try:
            self.python = peers.environment_of_python(workloads.cache_folder()) / "bin" / "python"
        except peers.Unavailable as reason:
            self.skipTest(str(reason))

    def data(self):
        run = {"wall_s": 0.5, "cpu_s": 0.4, "rss_mb": 30.0, "first_s": 0.1}
        found = {name: {"runs": [run, {**run, "wall_s": 0.7}], "failure": "", "gaps": "", "gets": 3} for name in peers.NAMES}
        found["original"] = {"runs": [], "failure": "exit code 1: no", "gaps": "", "gets": None}
        cell = {"link": "lambda", "setting": "2cores", "workload": "tiny", "cores": 2, "setup_s": 0.03, "rounds": 2, "date": "then",
                "decode_cpu_s": {"stock": 0.1, "packed": 0.1}, "peers": found}
        event = {"ph": "X", "tid": 1, "ts": 1000, "dur": 2000}
        return {
            "title": "made up", "machine": report.machine(), "filesystem": "ext4", "command": "./dev bench", "absent": {}, "shapes": {},
            "peers": {kind.name: {"title": kind.title, "form": kind.form, "output": kind.output, "versions": []} for kind in peers.ALL},
            "workloads": {"tiny": {"entries": 1, "unpacked": 9, "first": "a", "first_bytes": 1, "first_packed_bytes": 1,
                                   "size": {"stock": 30_000_000, "packed": 20_000_000}}},
            "cells": [cell],
            "waterfall": {"link": "lambda", "workload": "tiny", "wall_s": 0.5, "events": [
                {**event, "cat": "connections", "name": "connect"}, {**event, "cat": "connections", "name": "receive", "ts": 4000},
                {**event, "cat": "ranges", "name": "range"}, {**event, "cat": "ranges", "name": "range", "tid": 2, "ts": 2000},
                {**event, "cat": "decoders", "name": "decode"}, {"ph": "i", "cat": "files", "name": "a", "tid": 1, "ts": 6000}]},
            "sweep": {"link": "lambda", "workload": "tiny", "rounds": 2, "points": [
                {"connections": connections, "range_mib": mib, "wall_s": [0.5 + mib / 100, 0.6 + connections / 100]}
                for mib in (4, 8) for connections in (2, 6, 10)]}}

    def draw(self, data):
        report.write(self.root, "made-up", data, "")
        page, picture = report.draw(self.python, self.root, "made-up")
        return page.read_text(), picture.read_text()

    def pictures(self, page):
        found = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
        return ["".join(xml.fromstring(text).itertext()) for text in found]

    def test_a_page_with_everything(self):
        page, picture = self.draw(self.data())
        bars, waterfall, sweep = self.pictures(page)
        for name in ("tmpdump, packed", "aws s3 cp tuned + unzip", "failed"):
            self.assertIn(name, bars)
        self.assertIn("tiny, like Lambda's, plain: one run of 0.50 s", waterfall)
        for group in ("connections", "ranges", "decoders", "files"):
            self.assertIn(group, waterfall)
        for words in ("default: at most 6", "4 MiB", "8 MiB (default)", "seconds to ready, median"):
            self.assertIn(words, sweep)
        self.assertIn("Why six connections and 8 MiB", page)
        self.assertIn("<td>8</td><td>0.600</td><td>0.620</td><td>0.640</td>", page)  # the same as a table
        self.assertEqual(len(self.pictures(picture)), 1)

    def test_without_waterfall_and_sweep_there_are_bars(self):
        data = self.data()
        del data["waterfall"], data["sweep"]
        page, _ = self.draw(data)
        self.assertEqual(len(self.pictures(page)), 1)
        self.assertNotIn("Why six", page)

    def test_what_the_trace_has_is_what_the_waterfall_shows(self):
        data = self.data()
        for group in ("connections", "files"):
            events = [event for event in data["waterfall"]["events"] if event["cat"] != group]
            page, _ = self.draw({**data, "waterfall": {**data["waterfall"], "events": events}})
            self.assertNotIn(group, self.pictures(page)[1])


if __name__ == "__main__":
    unittest.main()
