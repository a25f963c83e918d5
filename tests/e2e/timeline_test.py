# SPDX-License-Identifier: Apache-2.0
"""The demo's drawing."""
import unittest

from emulator.timeline import Row, Scale, draw


class TimelineTest(unittest.TestCase):
    def test_rows_share_one_scale(self):
        scale = Scale(1.0, columns=10, unicode=False)
        _, first, second, third = draw(
            [Row("a", 0, 0.5), Row("long", 0.5, 0.95, "note"), Row("dot", 0.2, 0.6, mark=True)], scale)
        self.assertEqual(first, "  a     #####         500")
        self.assertEqual(second, "  long       ####     950  note")
        self.assertEqual(third, "  dot     ....o       600")

    def test_what_is_too_short_to_see_is_seen(self):
        self.assertEqual(Scale(1.0, columns=4, unicode=False).bar(Row("", 0.5, 0.5)), "  # ")

    def test_nothing_leaves_the_scale(self):
        scale = Scale(1.0, columns=4, unicode=False)
        for row in (Row("", -1, 3), Row("", 2, 3), Row("", 2, 3, mark=True)):
            self.assertEqual(len(scale.bar(row)), 4)

    def test_labels_of_the_ruler_do_not_touch(self):
        for longest in (0.01, 0.31, 0.8, 1.5, 3.9, 60):
            labels = Scale(longest).ruler().split()
            self.assertEqual(labels[0], "0")
            self.assertEqual(labels, sorted(labels, key=int))


if __name__ == "__main__":
    unittest.main()
