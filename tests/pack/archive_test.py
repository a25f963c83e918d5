# SPDX-License-Identifier: Apache-2.0
"""`tmpdump ls`, `verify`, `refine` and `strip-jar`: looking into archives and changing them without compressing."""
import io
import json
import os
import struct
import subprocess
import sys
import unittest
import zipfile

import packed_form
from stories import BAD_ARCHIVE, NOT_FOUND, TMPDUMP, USAGE, Story, code, library

ORIGIN = os.environ["TMPDUMP_ORIGIN"]


class Archives(Story):
    def setUp(self):
        super().setUp()
        self.write("lib/liba.so", library(["libb.so.1", "libc.so.6"], filler=code(300_000)))
        self.write("lib/libb.so.1", library(soname="libb.so.1", filler=code(2000)))
        self.link("lib/libb.so", "libb.so.1")
        self.write("lib/glibc-hwcaps/x86-64-v3/libb.so.1", library(soname="libb.so.1", filler=code(2000, 2)))
        self.write("lib/text", b"text" * 100)
        self.tmpdump("pack", "lib", "-o", "a.zip", "--segment-size", "64K")

    def entries(self, archive):
        """{name: (its central header's place, its local header's place, its data's place)}"""
        data = (self.folder / archive).read_bytes()
        end = data.rindex(b"PK\5\6")
        count, _, at = struct.unpack_from("<HII", data, end + 10)
        found = {}
        for _ in range(count):
            name, extra, comment = struct.unpack_from("<HHH", data, at + 28)
            offset = struct.unpack_from("<I", data, at + 42)[0]
            local_name, local_extra = struct.unpack_from("<HH", data, offset + 26)
            found[data[at + 46:at + 46 + name].decode()] = (at, offset, offset + 30 + local_name + local_extra)
            at += 46 + name + extra + comment
        return found

    def patch(self, archive, *changes):
        data = bytearray((self.folder / archive).read_bytes())
        for place, content in changes:
            data[place:place + len(content)] = content
        (self.folder / archive).write_bytes(data)


class Ls(Archives):
    def test_the_table(self):
        lines = self.tmpdump("ls", "a.zip").splitlines()
        self.assertEqual(lines[0].split()[:6], ["path", "size", "packed", "method", "segments", "variant"])
        rows = {line.split()[0]: line for line in lines[1:-1]}
        self.assertRegex(rows["lib/liba.so"], r" zstd +5 +- +-$")
        self.assertRegex(rows["lib/libb.so.1"], r" 1 +- +liba.so, libb.so$")
        self.assertRegex(rows["lib/glibc-hwcaps/x86-64-v3/libb.so.1"], r" x86-64-v3 ")
        self.assertIn("-> libb.so.1", rows["lib/libb.so"])
        self.assertRegex(lines[-1], r"^5 entries, ")

    def test_json(self):
        listed = json.loads(self.tmpdump("ls", "a.zip", "--json"))
        entries = {entry["path"]: entry for entry in listed["entries"]}
        a = entries["lib/liba.so"]
        self.assertEqual((a["segments"], a["segment_bytes"], a["needs"], a["needed_by"]),
                         (5, 65536, ["libb.so.1", "libc.so.6"], []))
        self.assertEqual(entries["lib/libb.so.1"]["needed_by"], ["lib/liba.so", "lib/libb.so"])
        self.assertEqual(entries["lib/libb.so"]["target"], "libb.so.1")
        self.assertEqual(entries["lib/glibc-hwcaps/x86-64-v3/libb.so.1"]["variant"], "x86-64-v3")
        self.assertEqual(sum(entry["packed"] for entry in entries.values()), listed["packed"])

    def test_json_of_an_archive_with_any_name(self):
        name = os.fsdecode(b"\xff.zip")
        (self.folder / "a.zip").rename(self.folder / name)
        self.assertEqual(json.loads(self.tmpdump("ls", name, "--json"))["archive"], r"\xff.zip")

    def test_what_is_no_archive(self):
        self.refused(NOT_FOUND, "ls", "none.zip", says="none.zip")
        self.refused(BAD_ARCHIVE, "ls", "lib/text", says="lib/text")


class Verify(Archives):
    def test_good_ones(self):
        self.assertRegex(self.tmpdump("verify", "a.zip"), "is good: 5 entries, 1 of them in segments")
        subprocess.run(["zip", "-qry", "z.zip", "lib"], cwd=self.folder, check=True)
        self.tmpdump("verify", "z.zip")

    def test_every_finding_is_told(self):
        with zipfile.ZipFile(self.folder / "bad.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name in "good", "crc", "local", "link", "method", "data":
                archive.writestr(name, code(3000))
            info = zipfile.ZipInfo("climbs")
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, "../../etc/passwd")
            archive.writestr("../up", b"x")
            archive.writestr("file", b"x")
            archive.writestr("file/below", b"x")
            archive.writestr("twicf", b"x")
            archive.writestr("twice", b"x")
        at = self.entries("bad.zip")
        self.patch("bad.zip", (at["crc"][0] + 16, b"\1\2\3\4"), (at["crc"][1] + 14, b"\1\2\3\4"),
                   (at["local"][1] + 30, b"LOCAL"), (at["method"][0] + 10, b"\x0c\0"),
                   (at["data"][2] + 100, b"\xff\xff\xff\xff"),
                   (at["twicf"][0] + 46, b"twice"), (at["twicf"][1] + 30, b"twice"))
        said = self.refused(BAD_ARCHIVE, "verify", "bad.zip")
        lines = said.splitlines()
        for words in ("entry 'crc': wrong CRC-32", 'entry "local": local header: its name', "unknown compression method 12",
                      "entry 'data'", "climbs", "../up", "entry 'file/below': lies below 'file'",
                      "entry 'twice': is there twice"):
            self.assertTrue(any(words in line for line in lines), words + "\n" + said)
        self.assertNotIn("good'", said)
        self.assertIn("8 findings (above)", lines[-1])
        self.assertEqual(len(lines), 9)

    def test_segments_that_lie(self):
        at = self.entries("a.zip")["lib/liba.so"]
        original = (self.folder / "a.zip").read_bytes()
        index = at[0] + 46 + len("lib/liba.so") + 4
        first, second = struct.unpack_from("<II", original, index + 12)
        lies = {"does not fit": (index + 4, struct.pack("<I", 65536 * 2)), "reserved": (index + 1, b"\1"),
                "header": (index + 2, b"\0\0"), "segment 0": (index + 12, struct.pack("<II", first + 1, second - 1)),
                "no frame": (at[2], b"\0")}
        for lie, (place, content) in lies.items():
            with self.subTest(lie):
                (self.folder / "a.zip").write_bytes(original)
                self.patch("a.zip", (place, content))
                self.assertIn("lib/liba.so", self.refused(BAD_ARCHIVE, "verify", "a.zip"))
        (self.folder / "a.zip").write_bytes(original)
        self.patch("a.zip", (index, b"\2"))  # a version of tomorrow: one stream, as the reader takes it
        self.tmpdump("verify", "a.zip")

    def test_variants_that_clash(self):
        with zipfile.ZipFile(self.folder / "v.zip", "w") as archive:
            archive.writestr("lib/x/y", b"x")
            archive.writestr("lib/glibc-hwcaps/x86-64-v3/x", b"x")  # would be published as lib/x
        said = self.refused(BAD_ARCHIVE, "verify", "v.zip")
        self.assertRegex(said, "on a processor of level x86-64-v3: .*lib/x")
        self.assertNotIn("x86-64-v2:", said)

    def test_a_variant_whose_link_leads_elsewhere(self):
        """It is published without its level's folder, and its link counts from there."""
        with zipfile.ZipFile(self.folder / "v.zip", "w") as archive:
            archive.writestr("lib/libx.so.1", b"x")
            info = zipfile.ZipInfo("lib/glibc-hwcaps/x86-64-v3/libx.so")
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, "../../libx.so.1")
        self.refused(BAD_ARCHIVE, "verify", "v.zip",
                     says=["lib/glibc-hwcaps/x86-64-v3/libx.so", "published as 'lib/libx.so'", "outside the archive"])

    def test_cut_anywhere(self):
        self.write("small/x", b"content of x")
        self.write("small/y", b"y" * 200)
        self.tmpdump("pack", "small", "-o", "s.zip")
        whole = (self.folder / "s.zip").read_bytes()
        for length in range(0, len(whole), 3):
            (self.folder / "cut.zip").write_bytes(whole[:length])
            self.refused(BAD_ARCHIVE, "verify", "cut.zip")

    def test_in_s3(self):
        bucket = self.folder / "root/bucket"
        bucket.mkdir(parents=True)
        self.write("lib/large", os.urandom(9 << 20))  # more than one range
        self.tmpdump("pack", "lib", "-o", bucket / "a.zip")
        with subprocess.Popen([ORIGIN, "--root", self.folder / "root", "--port", "0"], stdout=subprocess.PIPE,
                              text=True) as origin:
            self.addCleanup(origin.kill)
            url = origin.stdout.readline().split()[-1]
            access = ["--endpoint", url, "--region", "us-east-1", "--no-sign-request"]
            self.assertIn("is good", self.tmpdump("verify", "s3://bucket/a.zip", *access))
            self.assertIn("lib/large", self.tmpdump("ls", "s3://bucket/a.zip", *access))
            data = bytearray((bucket / "a.zip").read_bytes())
            data[1 << 20] ^= 1
            (bucket / "a.zip").write_bytes(data)
            self.refused(BAD_ARCHIVE, "verify", "s3://bucket/a.zip", *access, says="wrong CRC-32")
            self.refused(NOT_FOUND, "verify", "s3://bucket/none.zip", *access, says="none.zip")
            origin.kill()


class Refine(Archives):
    def raw(self, archive):
        """{name: its compressed bytes}"""
        data = (self.folder / archive).read_bytes()
        with zipfile.ZipFile(self.folder / archive) as opened:
            sizes = {info.filename: info.compress_size for info in opened.infolist()}
        return {name: data[at[2]:at[2] + sizes[name]] for name, at in self.entries(archive).items()}

    def test_fewer_entries_in_another_order_same_bytes(self):
        before = self.raw("a.zip")
        (self.folder / "a.zip").chmod(0o600)
        self.write("profile", "lib/text\nlib/libb.so.1\n")
        said = self.tmpdump("refine", "a.zip", "-x", "*hwcaps*", "--profile", "profile")
        self.assertRegex(said, r"(?m)^- lib/glibc-hwcaps/x86-64-v3/libb.so.1 ")
        self.assertRegex(said, r"(?m)^> \d entries at another place; first: lib/text lib/libb.so.1")
        self.assertRegex(said, r"(?m)^5 -> 4 entries, ")
        after = self.raw("a.zip")
        self.assertEqual(list(after), ["lib/text", "lib/libb.so.1", "lib/liba.so", "lib/libb.so"])
        self.assertEqual(after, {name: before[name] for name in after})
        self.assertEqual(len(packed_form.check(self.folder / "a.zip")["lib/liba.so"]), 5)
        self.assertEqual((self.folder / "a.zip").stat().st_mode & 0o777, 0o600)
        self.tmpdump("verify", "a.zip")

    def test_a_dry_run_says_the_same_and_writes_nothing(self):
        before = (self.folder / "a.zip").read_bytes()
        dry = self.tmpdump("refine", "a.zip", "-x", "lib/libb.so.1", "--dry-run")
        self.assertIn("'lib/liba.so' needs 'lib/libb.so.1', which goes", dry)
        self.assertEqual((self.folder / "a.zip").read_bytes(), before)
        wet = self.tmpdump("refine", "a.zip", "-x", "lib/libb.so.1", "-o", "b.zip")
        self.assertEqual(dry, wet + "dry run: nothing was written\n")
        self.assertEqual((self.folder / "a.zip").read_bytes(), before)

    def test_an_archive_of_zip(self):
        subprocess.run(["zip", "-qry", "z.zip", "lib"], cwd=self.folder, check=True)
        before = self.raw("z.zip")
        self.tmpdump("refine", "z.zip", "-i", "lib/*.so*")
        self.assertEqual({n: d for n, d in before.items() if ".so" in n}, self.raw("z.zip"))
        self.assertEqual(self.fetched("z.zip")["lib/libb.so"], "-> libb.so.1")
        self.refused(USAGE, "refine", "z.zip", "-x", "*", says="nothing would be left")

    def test_a_full_disk(self):
        self.write("lib/big", os.urandom(3 << 20))
        self.tmpdump("pack", "lib", "-o", "a.zip")
        self.full_disk("a.zip", 5, f"{TMPDUMP} refine small/a.zip -x '*.so'")


class StripJar(Story):
    NATIVES = {"org/bytedeco/x/linux-x86_64/libx.so.4.1": b"so" * 99, "org/bytedeco/x/linux-x86_64/libx.so": b"so",
               "org/bytedeco/x/linux-x86_64/libx.a": b"a", "org/bytedeco/x/linux-x86_64/include/x.h": b"h",
               "org/bytedeco/x/windows-x86_64/x.dll": b"dll", "org/bytedeco/x/p.xml": b"<x/>",
               "META-INF/versions/9/org/bytedeco/x/y.hpp": b"hpp"}
    OTHERS = {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n", "org/bytedeco/x/X.class": code(900),
              "org/bytedeco/x/x.properties": b"p", "com/other/libother.so": b"so", "com/other/a.xml": b"<x/>",
              "META-INF/versions/9/module-info.class": b"m", "log4j2.xml": b"<x/>"}

    def jar(self, name, *more, prefix=b""):
        with open(self.folder / name, "wb") as file:
            file.write(prefix)
            with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as jar:
                for path, content in [*self.NATIVES.items(), *self.OTHERS.items(), *more]:
                    if path.endswith("X.class"):
                        with jar.open(path, "w") as stream:  # with a data descriptor, as javac's jar writes
                            stream.write(content)
                    else:
                        jar.writestr(path, content)
                jar.comment = b"a comment"
        (self.folder / name).chmod(0o750)

    def contents(self, name):
        with zipfile.ZipFile(self.folder / name) as jar:
            self.assertIsNone(jar.testzip())
            return {info.filename: jar.read(info) for info in jar.infolist()}, jar.comment

    def test_natives_go_and_everything_else_stays_as_it_is(self):
        for prefix in b"", b"#!/bin/sh\nexec java -jar $0\n":
            self.jar("a.jar", prefix=prefix)
            with zipfile.ZipFile(self.folder / "a.jar") as jar:
                stamps = {i.filename: (i.date_time, i.CRC, i.compress_size) for i in jar.infolist() if i.filename in self.OTHERS}
            self.assertRegex(self.tmpdump("strip-jar", "a.jar"), r"a.jar: 7 entries out, .* -> ")
            self.assertEqual(self.contents("a.jar"), (self.OTHERS, b"a comment"))
            self.assertTrue((self.folder / "a.jar").read_bytes().startswith(prefix + b"PK"))
            self.assertEqual((self.folder / "a.jar").stat().st_mode & 0o777, 0o750)
            with zipfile.ZipFile(self.folder / "a.jar") as jar:
                self.assertEqual(stamps, {i.filename: (i.date_time, i.CRC, i.compress_size) for i in jar.infolist()})
            subprocess.run(["unzip", "-qt", "a.jar"], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        before = (self.folder / "a.jar").read_bytes()
        self.tmpdump("strip-jar", "a.jar")  # nothing to do any more
        self.assertEqual((self.folder / "a.jar").read_bytes(), before)

    def test_java_reads_it(self):
        self.jar("a.jar")
        self.tmpdump("strip-jar", "a.jar", "-o", "b.jar")
        listed = subprocess.run(["jar", "tf", "b.jar"], cwd=self.folder, check=True, capture_output=True, text=True).stdout
        self.assertEqual(listed.split(), list(self.OTHERS))
        self.assertEqual(self.contents("a.jar")[0], {**self.NATIVES, **self.OTHERS})

    def test_what_goes_can_be_said(self):
        self.jar("a.jar")
        self.tmpdump("strip-jar", "a.jar", "--what", "com/*.so", "--what", "*.dll")
        gone = {**self.NATIVES, **self.OTHERS}.keys() - self.contents("a.jar")[0].keys()
        self.assertEqual(gone, {"com/other/libother.so", "org/bytedeco/x/windows-x86_64/x.dll"})

    def test_signatures(self):
        signature = [("META-INF/APP.SF", b"s"), ("META-INF/APP.RSA", b"r"), ("META-INF/services/x.SF", b"no signature")]
        self.jar("a.jar", *signature)
        before = (self.folder / "a.jar").read_bytes()
        self.refused(USAGE, "strip-jar", "a.jar", says=["META-INF/APP.SF", "--drop-signatures"])
        self.assertEqual((self.folder / "a.jar").read_bytes(), before)
        done = self.run_tmpdump("strip-jar", "a.jar", "--drop-signatures")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("warning: 'a.jar' is no longer signed: 2 signature files left out", done.stderr)
        self.assertEqual(self.contents("a.jar")[0], {**self.OTHERS, "META-INF/services/x.SF": b"no signature"})

    def nested(self, content):
        """Jars by the two ways that Java applications have them inside: stored (Spring Boot) and deflated."""
        with zipfile.ZipFile(self.folder / "app.jar", "w", zipfile.ZIP_DEFLATED) as jar:
            jar.writestr("BOOT-INF/lib/a.jar", content, zipfile.ZIP_STORED)
            with jar.open("lib/b.jar", "w") as stream:  # with a data descriptor
                stream.write(content)
            jar.writestr("lib/pure.jar", self.pure(), zipfile.ZIP_STORED)
            jar.writestr("lib/text.jar", b"only called so")
            jar.writestr("x/X.class", code(900))

    def pure(self):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as jar:
            jar.writestr("com/x/libx.so", b"so")
        return out.getvalue()

    def test_jars_inside_of_the_jar(self):
        self.jar("a.jar")
        self.nested((self.folder / "a.jar").read_bytes())
        with zipfile.ZipFile(self.folder / "app.jar") as jar:
            before = {info.filename: (info.CRC, info.compress_size, info.compress_type) for info in jar.infolist()}
        self.assertRegex(self.tmpdump("strip-jar", "app.jar"), r"app.jar: 14 entries out, of 2 jars inside, ")
        with zipfile.ZipFile(self.folder / "app.jar") as jar:
            self.assertIsNone(jar.testzip())
            after = {info.filename: (info.CRC, info.compress_size, info.compress_type) for info in jar.infolist()}
            self.assertEqual(list(before), list(after))
            for name in "BOOT-INF/lib/a.jar", "lib/b.jar":
                self.assertEqual(after[name][2], before[name][2])  # Spring Boot opens none that is not stored
                (self.folder / "inner.jar").write_bytes(jar.read(name))
                self.assertEqual(self.contents("inner.jar"), (self.OTHERS, b"a comment"))
            for name in "lib/pure.jar", "lib/text.jar", "x/X.class":
                self.assertEqual(after[name], before[name])
        # A reader that goes from local header to local header, and Java's, which checks one against the other.
        subprocess.run(["bsdtar", "-xOf", "app.jar"], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["jar", "xf", "app.jar"], cwd=self.folder, check=True)
        self.tmpdump("verify", "app.jar")
        stripped = (self.folder / "app.jar").read_bytes()
        self.tmpdump("strip-jar", "app.jar")
        self.assertEqual((self.folder / "app.jar").read_bytes(), stripped)

    def test_signed_and_damaged_jars_inside_of_the_jar(self):
        self.jar("a.jar", ("META-INF/APP.SF", b"s"))
        signed = (self.folder / "a.jar").read_bytes()
        self.nested(signed)
        whole = (self.folder / "app.jar").read_bytes()
        self.refused(USAGE, "strip-jar", "app.jar", says=["app.jar!BOOT-INF/lib/a.jar", "--drop-signatures"])
        self.assertEqual((self.folder / "app.jar").read_bytes(), whole)
        done = self.run_tmpdump("strip-jar", "app.jar", "--drop-signatures", "-o", "out.jar")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("is no longer signed: 1 signature file left out"), 2)
        damaged = bytearray(whole)
        damaged[whole.index(signed) + 40] ^= 1  # the stored jar's content
        (self.folder / "app.jar").write_bytes(damaged)
        self.refused(BAD_ARCHIVE, "strip-jar", "app.jar", "--drop-signatures", says="BOOT-INF/lib/a.jar")
        self.assertEqual((self.folder / "app.jar").read_bytes(), damaged)

    def test_a_full_disk(self):
        self.jar("a.jar", ("com/big", os.urandom(3 << 20)))
        self.full_disk("a.jar", 5, f"{TMPDUMP} strip-jar small/a.jar")

    def test_a_cut_jar_stays_as_it_is(self):
        self.jar("a.jar")
        whole = (self.folder / "a.jar").read_bytes()
        for length in range(len(whole) - 1, len(whole) - 1200, -37):
            (self.folder / "a.jar").write_bytes(whole[:length])
            self.refused(BAD_ARCHIVE, "strip-jar", "a.jar", says="a.jar")
            self.assertEqual((self.folder / "a.jar").read_bytes(), whole[:length])


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
