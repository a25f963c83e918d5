# SPDX-License-Identifier: Apache-2.0
"""The checker of includes must be able to fail: violations are planted in a copy of the smallest possible tree."""
import tempfile
import unittest
from pathlib import Path

import include_direction


class IncludeDirection(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        self.write("daemon/CMakeLists.txt", "# order\nforeach(module base net s3)\nendforeach()\n")
        self.write("daemon/base/error.h", "#include <net/if.h>\n")
        self.write("daemon/net/network.h", '#include "base/error.h"\n#include "net/private.h"\n#include "layout.h"\n')
        self.write("daemon/s3/CMakeLists.txt", "target_link_libraries(tmpdump_s3 PUBLIC tmpdump_net)\n")
        self.write("daemon/s3/get.cpp", '#include "s3/get.h"\n#include "net/network.h"\n#include "proto/layout.h"\n')
        self.write("proto/layout.h", "")
        self.write("daemon/s3/main.cpp", '#include "pack/pack.h"\n')
        self.write("pack/pack.h", '#include "s3/get.h"\n#include "pack/text.h"\n')
        self.write("client/tmpdump.h", "")
        self.write("client/wait.c", '#include "tmpdump.h"\n#include "client/tmpdump.h"\n#include "layout.h"\n')

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def assert_one(self, *words):
        found = include_direction.problems(self.root)
        self.assertEqual(len(found), 1, found)
        for word in words:
            self.assertIn(word, found[0])

    def test_a_tree_in_order_passes(self):
        self.assertEqual(include_direction.problems(self.root), [])

    def test_an_include_to_the_right_is_found(self):
        self.write("daemon/base/deep/bad.cpp", '\n  #  include "s3/get.h"\n')
        self.assert_one("daemon/base/deep/bad.cpp:2", "s3/get.h", "base stands before s3")

    def test_a_path_that_goes_up_is_found(self):
        self.write("daemon/base/bad.h", '#include "../s3/get.h"\n')
        self.assert_one("bad.h:1", "..")

    def test_a_link_to_the_right_is_found(self):
        self.write("daemon/net/CMakeLists.txt", "target_link_libraries(tmpdump_net PRIVATE\n  tmpdump_s3)\n")
        self.assert_one("daemon/net/CMakeLists.txt:2", "tmpdump_s3")

    def test_the_daemon_does_not_include_the_client(self):
        self.write("daemon/s3/bad.cpp", '#include "client/tmpdump.h"\n')
        self.assert_one("client/tmpdump.h")

    def test_the_client_does_not_include_the_daemon(self):
        self.write("client/bad.c", '#include "base/error.h"\n')
        self.assert_one("client/bad.c:1", "base/error.h")

    def test_only_a_program_sees_pack(self):
        self.write("daemon/s3/bad.cpp", '#include "pack/pack.h"\n')
        self.assert_one("daemon/s3/bad.cpp:1", "pack/pack.h", "main.cpp")

    def test_pack_does_not_include_the_client(self):
        self.write("pack/bad.cpp", '#include "client/tmpdump.h"\n')
        self.assert_one("pack/bad.cpp:1", "client/tmpdump.h")

    def test_a_module_outside_the_order_is_found(self):
        self.write("daemon/stray/x.h", "")
        self.assert_one("daemon/stray")


if __name__ == "__main__":
    unittest.main()
