# SPDX-License-Identifier: Apache-2.0
"""`tmpdump pack`: from directories, files and jars to an archive that the reader and other tools open."""
import ctypes.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import unittest
import zipfile
from pathlib import Path

import packed_form
from stories import DENIED, FAILED, NOT_FOUND, TMPDUMP, USAGE, Story, code, library

LIBRARY = library(filler=code(5000))


class Sources(Story):
    def test_a_directory_is_packed_below_its_name_with_links_and_modes(self):
        self.write("lib/liba.so.1", LIBRARY, 0o700)
        self.write("lib/data/model.bin", b"weights", 0o600)
        self.link("lib/liba.so", "liba.so.1")
        (self.folder / "lib/empty").mkdir()
        for source in "lib", "lib/", f"{self.folder}/lib":
            self.tmpdump("pack", source, "-o", "a.zip")
            self.assertEqual(self.fetched("a.zip"), {"lib/liba.so.1": LIBRARY, "lib/data/model.bin": b"weights",
                                                     "lib/liba.so": "-> liba.so.1", "lib/empty": None})
            with zipfile.ZipFile(self.folder / "a.zip") as archive:
                modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
            self.assertEqual(stat.filemode(modes["lib/liba.so.1"]), "-rwxr-xr-x")  # as git: what depends on the umask goes
            self.assertEqual(stat.filemode(modes["lib/data/model.bin"]), "-rw-r--r--")

    def test_contents_files_and_places(self):
        self.write("in/x.txt", b"x")
        self.write("liba.so", LIBRARY)
        self.tmpdump("pack", "in/.", "liba.so", "in/x.txt=deep/down", "in=.", "-o", "in/a.zip")
        self.assertEqual(self.fetched("in/a.zip"), {"x.txt": b"x", "lib/liba.so": LIBRARY, "deep/down/x.txt": b"x"})
        self.tmpdump("pack", "in/.", "-o", "in/a.zip")  # not into itself
        self.assertEqual(self.fetched("in/a.zip"), {"x.txt": b"x"})

    def test_a_link_that_leads_out_is_stored_as_its_file(self):
        self.write("elsewhere", b"content")
        self.link("lib/inside", "../elsewhere")
        self.link("lib/absolute", self.folder / "elsewhere")
        self.assertIn("stored as the file", self.tmpdump("pack", "lib/.", "-o", "a.zip"))
        self.assertEqual(self.fetched("a.zip"), {"inside": b"content", "absolute": b"content"})
        self.link("lib/nowhere", "/no/such/file")
        self.refused(USAGE, "pack", "lib/.", "-o", "b.zip", says="lib/./nowhere")

    def test_what_is_no_file_and_default_excludes(self):
        for name in ".lock", "libx.a", "x.h", "x.hpp", "x.py", "__pycache__/x", "cmake/x.cmake", "keep.json":
            self.write(f"lib/{name}")
        os.mkfifo(self.folder / "lib/fifo")
        said = self.tmpdump("pack", "lib", "-o", "a.zip")
        self.assertEqual(list(self.fetched("a.zip")), ["lib/keep.json"])
        for why in "a static library", "a header", "a Python module", "a lock", "FIFO":
            self.assertIn(why, said)
        self.tmpdump("pack", "lib", "-o", "a.zip", "--no-default-excludes", "-x", "*pycache*", "-x", "lib/.lock")
        self.assertEqual(list(self.fetched("a.zip")), sorted(f"lib/{n}" for n in (
            "cmake/x.cmake", "keep.json", "libx.a", "x.h", "x.hpp", "x.py")))
        self.tmpdump("pack", "lib", "-o", "a.zip", "-i", "*.py", "-i", "*.json", "-x", "*keep*")
        self.assertEqual(list(self.fetched("a.zip")), ["lib/x.py"])

    def jar(self, name, members):
        with zipfile.ZipFile(self.folder / name, "w", zipfile.ZIP_DEFLATED) as jar:
            for path, content in members.items():
                jar.writestr(path, content)

    def test_jars_and_class_paths(self):
        base = "org/bytedeco/openblas"
        self.jar("a.jar", {f"{base}/linux-x86_64/liba.so.1": LIBRARY, f"{base}/linux-arm64/liba.so.1": b"other",
                           f"{base}/linux-x86_64/x.properties": b"", f"{base}/linux-x86_64/include/a.h": b"",
                           "org/bytedeco/A.class": b"", "com/other/linux-x86_64/libo.so": b"not ours"})
        self.jar("b.jar", {f"{base}/linux-x86_64/liba.so.1": library(["libq.so"]), f"{base}/linux-x86_64/libb.so": LIBRARY})
        self.tmpdump("pack", "a.jar", "-o", "a.zip")
        self.assertEqual(self.fetched("a.zip"), {"lib/liba.so.1": LIBRARY})
        said = self.tmpdump("pack", "--class-path", "classes:a.jar:b.jar", "-o", "a.zip")  # the first one counts, as for java
        self.assertEqual(self.fetched("a.zip"), {"lib/liba.so.1": LIBRARY, "lib/libb.so": "-> liba.so.1"})
        self.assertIn("'b.jar!org/bytedeco/openblas/linux-x86_64/liba.so.1' is different and left out", said)
        self.tmpdump("pack", "--class-path", "*", "-x", "*a.so*", "-o", "a.zip")
        self.assertEqual(list(self.fetched("a.zip")), ["lib/libb.so"])
        self.refused(NOT_FOUND, "pack", "--class-path", "a.jar:gone.jar", "-o", "b.zip", says="gone.jar")
        (self.folder / "bad.jar").write_bytes((self.folder / "a.jar").read_bytes()[:-30])
        self.refused(4, "pack", "bad.jar", "-o", "b.zip", says="bad.jar")

    def test_jars_for_newer_cpus(self):
        base = "org/nd4j/linalg/cpu/nativecpu/bindings/linux-x86_64"
        for extension in "", "-avx2", "-avx512", "-other":
            self.jar(f"n{extension}.jar", {f"{base}{extension}/libnd4jcpu.so": library(filler=code(9000, len(extension)))})
        self.tmpdump("pack", "--class-path", "n.jar:n-avx2.jar:n-avx512.jar:n-other.jar", "-o", "a.zip")
        with zipfile.ZipFile(self.folder / "a.zip") as archive:
            self.assertEqual(archive.namelist(), [f"lib/{folder}libnd4jcpu.so" for folder in (
                "glibc-hwcaps/x86-64-v3/", "glibc-hwcaps/x86-64-v4/", "")])
        self.tmpdump("pack", "n.jar", "--variant", "x86-64-v3=n-avx2.jar", "-o", "a.zip")
        with zipfile.ZipFile(self.folder / "a.zip") as archive:
            self.assertEqual(archive.namelist(), ["lib/glibc-hwcaps/x86-64-v3/libnd4jcpu.so", "lib/libnd4jcpu.so"])

    def test_from_a_log_of_javacpp(self):
        log = Path(__file__).with_name("javacpp_debug.log")
        members = {f"org/bytedeco/openblas/linux-x86_64/{name}": library(needed, name, code(200, number))
                   for number, (name, needed) in enumerate({
                       "libgcc_s.so.1": [], "libquadmath.so.0": ["libextra.so"], "libgfortran.so.5": [], "libextra.so": [],
                       "libopenblas.so.0": [], "libjniopenblas.so": [], "libnever.so": []}.items())}
        self.jar("openblas.jar", members)
        said = self.tmpdump("pack", "openblas.jar", "--from-log", log, "-o", "a.zip")
        packed = self.fetched("a.zip")
        self.assertEqual(sorted(packed), [f"lib/{n}" for n in (
            "libextra.so", "libgcc_s.so.1", "libgfortran.so.5", "libjniopenblas.so", "libopenblas.so.0",
            "libopenblas_nolapack.so.0", "libquadmath.so.0")])
        self.assertEqual(packed["lib/libopenblas_nolapack.so.0"], "-> libopenblas.so.0")  # one file for two names
        self.assertIn("the log does not load 'lib/libextra.so', but what it loads needs it", said)
        self.assertRegex(said, "loads 'libjnijavacpp.so', which no source has; wanted by org.bytedeco.javacpp.Pointer")
        self.assertRegex(said, "the log does not load it: openblas.jar!.*libnever.so")
        self.assertRegex(said, r"(?m)^  org.bytedeco.openblas.global.openblas: libopenblas.so.0 libjniopenblas.so$")
        with zipfile.ZipFile(self.folder / "a.zip") as archive:  # in the order of loading, before each what it needs
            self.assertEqual(archive.namelist()[:4], [f"lib/{n}" for n in (
                "libgcc_s.so.1", "libextra.so", "libquadmath.so.0", "libgfortran.so.5")])
        self.refused(USAGE, "pack", "openblas.jar", "--from-log", "openblas.jar", "-o", "b.zip", says="logger.debug=true")


    def log_of(self, url):
        """Of an application that takes liba.so.1 out of the jar of that URL."""
        place = "org/bytedeco/x/linux-x86_64/liba.so.1"
        self.write("debug.log", f"Debug: Loading class x.X\nDebug: Extracting {url}!/{place}\n"
                                "Debug: Loading /home/u/.javacpp/cache/x.jar/liba.so.1\n")
        return {place: library(soname="liba.so.1")}

    def test_from_a_log_that_names_a_jar_by_its_url(self):
        (self.folder / "my app").mkdir()
        self.jar("my app/x.jar", self.log_of(f"jar:file:{self.folder}/my%20app/x.jar"))
        self.tmpdump("pack", "--from-log", "debug.log", "-o", "a.zip")
        self.assertEqual(list(self.fetched("a.zip")), ["lib/liba.so.1"])

    def test_from_a_log_whose_jars_are_inside_of_a_jar(self):
        for url in "jar:file:/app.jar!/BOOT-INF/lib/x.jar", "jar:nested:/app.jar/!BOOT-INF/lib/x.jar":  # Spring Boot's, before 3.2 and since
            members = self.log_of(url)
            self.refused(USAGE, "pack", "--from-log", "debug.log", "-o", "a.zip", says=["BOOT-INF/lib/x.jar", "/app.jar", "unpack"])
            self.jar("x.jar", members)
            self.tmpdump("pack", "x.jar", "--from-log", "debug.log", "-o", "a.zip")
            self.assertEqual(list(self.fetched("a.zip")), ["lib/liba.so.1"])

    def test_from_a_log_of_an_application_that_ran_before(self):
        cache = "cache/openblas.jar/org/bytedeco/openblas/linux-x86_64"
        for number, (name, needed) in enumerate({"liba.so.1": ["libbeside.so"], "libbeside.so": [], "libnever.so": []}.items()):
            self.write(f"{cache}/{name}", library(needed, name, code(200, number)))
        self.link(f"{cache}/liba.so", self.folder / cache / "liba.so.1")
        self.write("debug.log", f"Debug: Loading class x.X\nDebug: Loading {self.folder}/{cache}/liba.so.1\n")
        self.tmpdump("pack", "--from-log", "debug.log", "-o", "a.zip")
        self.assertEqual(sorted(self.fetched("a.zip")), ["lib/liba.so.1", "lib/libbeside.so"])


class Libraries(Story):
    def test_version_links_and_what_is_missing(self):
        self.write("lib/libuser.so", library(["libx.so.4", "libsoname.so.2", "libc.so.6", "libgone.so.1", "libcrypto.so.3"]))
        self.write("lib/libx.so", LIBRARY)
        self.write("lib/libother-name.so", library(soname="libsoname.so.2"))
        said = self.tmpdump("pack", "lib", "-o", "a.zip")
        packed = self.fetched("a.zip")
        self.assertEqual(packed["lib/libx.so.4"], "-> libx.so")
        self.assertEqual(packed["lib/libsoname.so.2"], "-> libother-name.so")
        self.assertIn("libgone.so.1: by lib/libuser.so; Amazon Linux 2 has it: no, 2023: no", said)
        self.assertIn("libcrypto.so.3: by lib/libuser.so; Amazon Linux 2 has it: no, 2023: yes", said)
        self.assertNotIn("libc.so.6", said)

    def test_the_same_file_is_stored_once(self):
        self.write("lib/libx.so", library(soname="libx.so.4", filler=code(9000)))
        self.write("lib/libx.so.4", library(soname="libx.so.4", filler=code(9000)))
        self.write("lib/deep/libcopy.so", library(soname="libx.so.4", filler=code(9000)))
        self.write("lib/small", b"same")
        self.write("lib/small2", b"same")
        self.tmpdump("pack", "lib", "-o", "a.zip")
        packed = self.fetched("a.zip")
        self.assertEqual(packed["lib/libx.so"], "-> libx.so.4")
        self.assertEqual(packed["lib/deep/libcopy.so"], "-> ../libx.so.4")
        self.assertEqual((packed["lib/small"], packed["lib/small2"]), (b"same", b"same"))

    def test_variants_for_newer_cpus(self):
        self.write("lib/libx.so", library(soname="libx.so", filler=code(9000)))
        self.write("lib/libsame.so", library(filler=code(8000)))
        self.write("v3/libx.so", library(soname="libx.so", filler=code(9000, 3)))
        self.write("v3/libsame.so", library(filler=code(8000)))
        said = self.tmpdump("pack", "lib", "--variant", "x86-64-v3=v3", "-o", "a.zip")
        with zipfile.ZipFile(self.folder / "a.zip") as archive:
            self.assertEqual(sorted(archive.namelist()),
                             ["lib/glibc-hwcaps/x86-64-v3/libx.so", "lib/libsame.so", "lib/libx.so"])
        self.assertIn("the same as the library for every CPU", said)
        self.refused(USAGE, "pack", "lib", "--variant", "x86-64-v5=v3", "-o", "b.zip", says="x86-64-v4")

    def test_a_variant_is_left_out_only_for_the_library_whose_place_it_takes(self):
        self.write("lib/libx.so", library(filler=code(9000)))
        self.write("lib/avx2/libx.so", library(filler=code(9000, 3)))
        self.write("lib/libsame.so", library(filler=code(8000)))
        self.write("lib/avx2/libsame.so", library(filler=code(8000)))
        self.write("lib/other/libsame.so", library(filler=code(8000)))
        said = self.tmpdump("pack", "lib", "--variant", "x86-64-v3=lib/avx2", "-o", "a.zip")
        with zipfile.ZipFile(self.folder / "a.zip") as archive:
            self.assertEqual([name for name in archive.namelist() if "hwcaps" in name], ["lib/glibc-hwcaps/x86-64-v3/libx.so"])
        self.assertIn("1 file, the same as the library for every CPU", said)
        self.assertEqual(self.fetched("a.zip", TMPDUMP_CPU="x86-64-v3")["lib/libx.so"], library(filler=code(9000, 3)))

    def test_a_link_of_a_variant_counts_from_where_it_is_published(self):
        v3 = "lib/glibc-hwcaps/x86-64-v3"
        self.write("lib/data.1", b"the base")
        self.write("lib/glibc-hwcaps/data.2", b"between")
        self.write(f"{v3}/data.3", b"the variant")
        self.link(f"{v3}/far", "../../data.1")
        self.link(f"{v3}/deep/far", "../../../data.1")
        self.link(f"{v3}/near", "../data.2")
        self.link(f"{v3}/beside", "data.3")
        self.link(f"{v3}/deep/beside", "../data.3")
        self.assertIn(f"'{v3}/far' is stored as the file", self.tmpdump("pack", "lib", "-o", "a.zip"))
        self.tmpdump("verify", "a.zip")
        self.assertEqual(self.fetched("a.zip", TMPDUMP_CPU="x86-64-v3"), {
            "lib/data.1": b"the base", "lib/glibc-hwcaps/data.2": b"between", "lib/data.3": b"the variant",
            "lib/far": b"the base", "lib/deep/far": b"the base", "lib/near": b"between",
            "lib/beside": "-> data.3", "lib/deep/beside": "-> ../data.3"})

    def test_strip_takes_debug_sections_off_a_copy(self):
        self.write("x.c", "int tmpdump_answer(void) { return 42; }\n")
        subprocess.run(["cc", "-g", "-shared", "-fPIC", "-o", "libx.so", "x.c"], cwd=self.folder, check=True)
        before = (self.folder / "libx.so").read_bytes()
        self.assertIn("stripped", self.tmpdump("pack", "libx.so", "--strip", "-o", "a.zip"))
        packed = self.fetched("a.zip")["lib/libx.so"]
        self.assertLess(len(packed), len(before))
        self.assertIn(b"tmpdump_answer", packed)
        self.assertNotIn(b".debug_info", packed)
        self.assertEqual((self.folder / "libx.so").read_bytes(), before)
        self.refused(NOT_FOUND, "pack", "libx.so", "--strip", "-o", "a.zip", env={"STRIP": "no-such-strip"}, says="binutils")


class Form(Story):
    CONTENT = {"lib/libbig.so": library(filler=code(700_000)), "lib/libmiddle.so": library(filler=code(196_608, 1)),
               "lib/random.bin": os.urandom(50_000), "lib/empty": b"", "lib/small": b"tiny"}

    def fill(self):
        for path, content in self.CONTENT.items():
            self.write(path, content)

    def test_segments_decode_from_their_own_bytes(self):
        self.fill()
        for method in [], ["--deflate"]:
            self.tmpdump("pack", "lib", "-o", "a.zip", "--segment-size", "64K", "--level", "3", *method)
            found = packed_form.check(self.folder / "a.zip")
            self.assertEqual({name: len(sizes) for name, sizes in found.items()}, {
                "lib/libbig.so": 11, "lib/libmiddle.so": 4, "lib/random.bin": 0, "lib/empty": 0, "lib/small": 0})
            self.assertEqual(self.fetched("a.zip"), self.CONTENT)

    def test_what_does_not_compress_is_stored(self):
        """Also a large file, of which that is known only at its end; what stands before and behind it is as it was."""
        noise = os.urandom(300_000)
        files = {"a.bin": code(300_000), "b.bin": noise, "c.bin": code(300_000, 7), "d.bin": noise[:50_000], "e.bin": noise[1:]}
        for name, content in files.items():
            self.write("in/" + name, content)
        for method in [], ["--deflate"]:
            self.tmpdump("pack", "in/.", "-o", "a.zip", "--segment-size", "64K", "--level", "3", *method)
            self.tmpdump("verify", "a.zip")
            self.assertEqual(self.fetched("a.zip"), files)
            with zipfile.ZipFile(self.folder / "a.zip") as archive:
                stored = {info.filename: info.compress_size for info in archive.infolist() if info.compress_type == 0}
                self.assertEqual(archive.read("e.bin"), files["e.bin"])
            self.assertEqual(stored, {"b.bin": 300_000, "d.bin": 50_000, "e.bin": 299_999})

    def test_every_level_of_deflate_and_every_kind_of_last_block(self):
        # Stored, fixed and dynamic last blocks, ending at every bit of a byte.
        for number in range(40):
            self.write(f"in/{number}", os.urandom(65536 + number * 7) if number % 5 == 0
                       else code(65536 + number, number) + b"\0" * (3000 * (number % 3)) + code(70000, number + 99))
        for level in 1, 2, 6, 12:
            self.tmpdump("pack", "in/.", "-o", "a.zip", "--deflate", "--level", level, "--segment-size", "64K")
            packed_form.check(self.folder / "a.zip")

    def test_other_tools_open_it(self):
        self.fill()
        self.link("lib/libbig.so.1", "libbig.so")
        archive = self.folder / "a.zip"
        self.tmpdump("pack", "lib", "-o", archive, "--deflate", "--segment-size", "64K")
        subprocess.run(["unzip", "-qt", archive], check=True, stdout=subprocess.DEVNULL)
        with zipfile.ZipFile(archive) as opened:
            self.assertIsNone(opened.testzip())
            self.assertEqual({n: opened.read(n) for n in self.CONTENT}, self.CONTENT)
        for options in ["--deflate"], []:  # both forms: these two know zstd
            self.tmpdump("pack", "lib", "-o", archive, "--segment-size", "64K", *options)
            subprocess.run(["7z", "t", archive], check=True, stdout=subprocess.DEVNULL)
            out = self.folder / f"bsdtar{len(options)}"
            out.mkdir()
            subprocess.run(["bsdtar", "-xf", archive, "-C", out], check=True)
            self.assertEqual({n: (out / n).read_bytes() for n in self.CONTENT}, self.CONTENT)
            self.assertEqual(os.readlink(out / "lib/libbig.so.1"), "libbig.so")

    def test_libzip_and_java_open_the_deflate_form(self):
        self.fill()
        self.tmpdump("pack", "lib", "-o", "a.zip", "--deflate", "--segment-size", "64K")
        found = ctypes.util.find_library("zip")
        libzip = ctypes.CDLL(found) if found else self.skipTest("no libzip.so")
        for name in "zip_open", "zip_fopen":
            getattr(libzip, name).restype = ctypes.c_void_p
        libzip.zip_fread.restype = ctypes.c_int64
        archive = ctypes.c_void_p(libzip.zip_open(os.fsencode(self.folder / "a.zip"), 16, None))  # ZIP_RDONLY
        for name, content in self.CONTENT.items():
            file = ctypes.c_void_p(libzip.zip_fopen(archive, name.encode(), 0))
            buffer = ctypes.create_string_buffer(len(content) + 1)
            self.assertEqual(libzip.zip_fread(file, buffer, ctypes.c_uint64(len(content) + 1)), len(content))
            self.assertEqual(buffer.raw[:-1], content)
            self.assertEqual(libzip.zip_fclose(file), 0)  # the CRC-32 was right
        libzip.zip_discard(archive)
        (self.folder / "by-java").mkdir()
        subprocess.run(["jar", "xf", "../a.zip"], cwd=self.folder / "by-java", check=True)
        self.assertEqual({n: (self.folder / "by-java" / n).read_bytes() for n in self.CONTENT}, self.CONTENT)

    def test_what_is_said_at_the_end(self):
        self.fill()
        self.write("lib/libx.a")
        said = self.tmpdump("pack", "lib", "-o", "a.zip", "--segment-size", "64K")
        size = (self.folder / "a.zip").stat().st_size
        self.assertRegex(said, rf"^a.zip: 5 files, 947\.1 kB -> {size / 1e3:.1f} kB \(\d+\.\d %, zstd 19\) in ")
        self.assertRegex(said, r"(?m)^ +700\.2 kB +\d+\.\d kB +11  lib/libbig.so$")
        self.assertIn("1 file, a static library: lib/libx.a", said)
        self.assertRegex(said, r"arrives in about 0\.01 s over a link of 600 Mbit/s\n\Z")

    def test_the_same_files_give_the_same_bytes(self):
        self.fill()
        self.tmpdump("pack", "lib", "-o", "a.zip", "--segment-size", "64K", "--threads", 1)
        for number, path in enumerate(reversed(self.CONTENT)):  # made in another order, at another time
            (self.folder / path).unlink()
            os.utime(self.write(path, self.CONTENT[path], 0o640), (number, number))
        self.tmpdump("pack", "lib", "-o", "b.zip", "--segment-size", "64K", "--threads", 3)
        self.assertEqual((self.folder / "a.zip").read_bytes(), (self.folder / "b.zip").read_bytes())

    def test_fewer_threads_than_asked_for_do_it_too(self):
        self.fill()
        done = self.with_threads(3, "pack", "lib", "--threads", 64, "-o", "a.zip")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.fetched("a.zip"), self.CONTENT)

    def test_a_profile_orders_the_entries(self):
        self.fill()
        self.write("profile", "# first use\n/tmp/lib/small\n\nlib/libmiddle.so # then\nlib/none\nlib/small\n")
        said = self.tmpdump("pack", "lib", "--profile", "profile", "-o", "a.zip")
        with zipfile.ZipFile(self.folder / "a.zip") as archive:
            self.assertEqual(archive.namelist()[:3], ["lib/small", "lib/libmiddle.so", "lib/empty"])
        self.assertIn("'lib/none', which is not packed", said)


class Trouble(Story):
    """The previous archive stays as it was, and nothing is left beside it."""

    def setUp(self):
        super().setUp()
        self.write("lib/libx.so", LIBRARY)
        self.write("a.zip", b"the one before")
        self.before = sorted(os.listdir(self.folder))

    def tearDown(self):
        self.assertEqual((self.folder / "a.zip").read_bytes(), b"the one before")
        self.assertEqual([n for n in os.listdir(self.folder) if n.startswith(".")], [])

    def test_sources_that_cannot_be_packed(self):
        self.refused(NOT_FOUND, "pack", "lib", "gone", "-o", "a.zip", says="'gone'")
        self.refused(USAGE, "pack", "-o", "a.zip", says="nothing to pack")
        self.refused(USAGE, "pack", "lib", "-x", "*", "-o", "a.zip", says="every file is left out")
        self.write("lib/liblfs.so", b"version https://git-lfs.github.com/spec/v1\n")
        self.refused(USAGE, "pack", "lib", "-o", "a.zip", says=["liblfs.so", "no ELF file", "--exclude"])
        self.write("lib/liblfs.so", LIBRARY[:100])
        self.refused(USAGE, "pack", "lib", "-o", "a.zip", says=["liblfs.so", "damaged ELF"])

    def test_variants_that_clash(self):
        self.write("lib/x/y")
        self.write("lib/glibc-hwcaps/x86-64-v3/x")  # would be published as lib/x
        self.refused(USAGE, "pack", "lib", "-o", "a.zip", says=["on a processor of level x86-64-v3: ", "lib/x"])

    def test_names_that_cannot_be_stored(self):
        for name in b"lib/\xff.txt", b"lib/back\nslash\xc3", b".tmpdump/x":
            place = os.path.join(os.fsencode(self.folder), name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb"):
                pass
            self.refused(USAGE, "pack", ".", "-x", "a.zip", "-x", "tmp*", "-o", "a.zip", says="cannot be stored")
            os.unlink(place)
        os.rmdir(self.folder / ".tmpdump")

    def test_outputs_that_cannot_be_written(self):
        self.refused(USAGE, "pack", "lib", "-o", "lib", says="a directory")
        self.refused(USAGE, "pack", "lib", "-o", "/dev/null", says="no regular file")
        self.refused(NOT_FOUND, "pack", "lib", "-o", "no/such/a.zip", says="no/such/a.zip")

    def test_no_thread_to_compress(self):
        done = self.with_threads(1, "pack", "lib", "-o", "a.zip")
        self.assertEqual(done.returncode, FAILED, done.stderr)
        self.assertRegex(done.stderr, r"\Atmpdump: error: start a thread that compresses: [^\n]*too many processes[^\n]*\n\Z")

    def test_a_full_disk(self):
        self.write("lib/big", os.urandom(3 << 20))
        self.full_disk("a.zip", 1, f"{TMPDUMP} pack lib -q -o small/a.zip")

    def while_it_packs(self, action):
        """The exit status and what stood on the terminal of a run that `action` falls into."""
        block = code(8 << 20)  # a segment: each costs as much as the first
        self.write("lib/big", block * 8)
        self.write("lib/bigger", block * 9)
        (self.folder / "tmp").mkdir()
        read, write = os.openpty()
        shown = b""
        with subprocess.Popen([TMPDUMP, "pack", "lib", "-o", "a.zip"], cwd=self.folder, stdout=subprocess.DEVNULL,
                              stderr=write, env={**os.environ, "TMPDIR": str(self.folder / "tmp")}) as process:
            os.close(write)
            shown += os.read(read, 1)  # the bar is drawn: it packs
            action(process)
            while True:
                try:
                    shown += os.read(read, 4096)
                except OSError:  # nobody writes any more
                    break
            status = process.wait(timeout=120)
        os.close(read)
        self.assertEqual(os.listdir(self.folder / "tmp"), [])
        return status, shown.decode()

    def test_ctrl_c(self):
        status, _ = self.while_it_packs(lambda process: process.send_signal(signal.SIGINT))
        self.assertEqual(status, FAILED)

    def test_a_file_that_vanishes_or_changes(self):
        last = self.folder / "lib/libx.so"
        status, shown = self.while_it_packs(lambda _: last.unlink())
        self.assertEqual(status, NOT_FOUND, shown)
        self.assertIn("lib/libx.so", shown)
        shutil.rmtree(self.folder / "tmp")
        last.write_bytes(LIBRARY)
        status, shown = self.while_it_packs(lambda _: last.write_bytes(LIBRARY + b"more"))
        self.assertEqual(status, FAILED, shown)
        self.assertIn("changed while it was packed", shown)

    def test_files_and_folders_that_may_not_be_read(self):
        self.write("lib/secret", b"secret")
        (self.folder / "tmp").mkdir()
        program = shutil.copy(TMPDUMP, self.folder / "program")  # the build may lie where only root goes
        for path, mode in ("lib/secret", 0o0), ("lib", 0o0):
            (self.folder / path).chmod(mode)
            for place in self.folder, self.folder / "tmp":
                place.chmod(0o777)
            # Root may read everything, other users may not.
            become = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
            done = subprocess.run([*become, program, "pack", "lib", "-o", "a.zip"], cwd=self.folder, capture_output=True,
                                  text=True, env={**os.environ, "TMPDIR": str(self.folder / "tmp")})
            self.assertEqual(done.returncode, DENIED, done.stderr)
            self.assertRegex(done.stderr, rf"\Atmpdump: error: [^\n]*'{path}[^\n]*Permission denied[^\n]*\n\Z")
            (self.folder / path).chmod(0o755)

    def test_who_reads_the_old_archive_goes_on(self):
        link = self.folder / "link.zip"
        link.symlink_to("b.zip")
        self.write("b.zip", b"old")
        with open(self.folder / "b.zip", "rb") as reader:
            self.tmpdump("pack", "lib", "-o", "link.zip")
            self.assertEqual(reader.read(), b"old")
        self.assertEqual(os.readlink(link), "b.zip")
        self.assertTrue(zipfile.is_zipfile(self.folder / "b.zip"))

    def test_a_link_to_an_archive_that_is_to_be_made_stays_one(self):
        (self.folder / "releases").mkdir()
        self.link("latest.zip", "releases/newest.zip")
        self.link("releases/newest.zip", "2.zip")
        self.tmpdump("pack", "lib", "-o", "latest.zip")
        self.assertEqual(os.readlink(self.folder / "latest.zip"), "releases/newest.zip")
        self.assertEqual(os.readlink(self.folder / "releases/newest.zip"), "2.zip")
        self.assertTrue(zipfile.is_zipfile(self.folder / "releases/2.zip"))
        self.link("round.zip", "round.zip")
        self.refused(FAILED, "pack", "lib", "-o", "round.zip", says=["round.zip", "symbolic links"])
        self.link("nowhere.zip", "no/such/a.zip")
        self.refused(NOT_FOUND, "pack", "lib", "-o", "nowhere.zip", says="nowhere.zip")

    def test_who_may_read_the_old_archive_may_read_the_new_one(self):
        self.write("b.zip", b"old", 0o640)
        self.tmpdump("pack", "lib", "-o", "b.zip")
        self.assertEqual((self.folder / "b.zip").stat().st_mode & 0o777, 0o640)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
