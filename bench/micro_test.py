# SPDX-License-Identifier: Apache-2.0
"""micro/run reads what its programs print."""
import contextlib
import importlib.machinery
import importlib.util
import io
import unittest
from pathlib import Path


class Run(unittest.TestCase):
    def setUp(self):
        place = str(Path(__file__).parent / "micro" / "run")
        spec = importlib.util.spec_from_loader("micro_run", importlib.machinery.SourceFileLoader("micro_run", place))
        self.run_ = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.run_)

    def test_engines_in_mb_a_second_become_times(self):
        text = ("lib/liba.so: 1000 to 2000000 bytes; MB/s, median [slowest to fastest] of 5\n"
                "  zlib                          400  [200 to 500]\n  libdeflate, whole buffer     1000  [800 to 2000]\n"
                "1 entries: seconds, sum of the medians\n  zlib                        0.005\n")
        self.assertEqual(list(self.run_.of_inflate(text)), [("lib/liba.so, zlib", 5e6, 4e6, 10e6, 2_000_000),
                                                            ("lib/liba.so, libdeflate, whole buffer", 2e6, 1e6, 2.5e6, 2_000_000)])
        row = self.run_.shown_row("bench_inflate", *next(self.run_.of_inflate(text)))
        self.assertEqual(row, "| inflate | lib/liba.so, zlib | 5 ms | 4 ms to 10 ms | 0.40 |")

    def test_medians_of_programs_of_their_own(self):
        self.assertEqual(list(self.run_.of_own_form("first call   63.97 us (62.66 to 72.70)\nelse\n")),
                         [("first call", 63970.0, 62660.0, 72700.0, 0)])

    def test_a_rate_is_that_of_the_bytes_that_were_worked_on(self):
        self.assertEqual(self.run_.rate("CRC, zlib, 256 KiB", 262144, 0), "1.00")
        self.assertEqual(self.run_.rate("decode, 1 MiB of machine code", 2 << 20, 0), "0.50")
        self.assertEqual(self.run_.rate("two combined, the second of 8 MiB", 48, 0), "")

    def test_a_part_of_the_table_is_not_kept_as_the_whole(self):
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            self.run_.options_of(["crc", "--save"])


if __name__ == "__main__":
    unittest.main()
