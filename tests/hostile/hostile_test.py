#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile archives through `tmpdump fetch`, beside unzip, bsdtar, Python's zipfile and libzip.

hostile_test.py TMPDUMP            all archives; status 1 when a rule is broken
hostile_test.py TMPDUMP --docs F   the same, and writes the table of docs/hostile-archives.md into F
  --check-docs F   a rule more: F has the table that this run would write
  --only TEXT      cases whose name has TEXT; --every N: each Nth mutation and truncation (default 1); --keep: leave files

The rules:
 1. tmpdump ends in time, with status 0 (the tree is there) or 4 (it says why), and nothing outside changes.
 2. Where the four agree on one tree and the archive is legal, tmpdump makes the same tree.
 3. Where they do not agree, tmpdump refuses, unless ACCEPTED names the reason.
 4. What tmpdump accepts is the tree of at least one of the others.
"""
import argparse
import base64
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

import cases
import oracles

# Where the four disagree and tmpdump accepts all the same: of which cases, and why.
ACCEPTED = (
    (r"name: (line feed|escape sequence|right to left mark|trailing blank)", "a file name may hold any byte but '/' and NUL, "
     "and is shown escaped; unzip leaves control characters out"),
    (r"name: backslash, from Unix", "an ordinary byte of a Unix name, as for unzip; bsdtar makes a folder of it"),
    (r"name: drive letter", "no drive here; bsdtar removes it"),
    (r"name: not UTF-8, not flagged", "CP437 then (APPNOTE 4.4.4, appendix D), as libzip has it"),
    (r"name: twins by Unicode form", "two names of different bytes are two files on Linux; bsdtar overwrites one"),
    (r"name: Unicode Path says another name|go: utf8-", "Info-ZIP's Unicode Path (APPNOTE 4.6.9) whose CRC fits is the name, as "
     "for unzip (with a warning) and libzip"),
    (r"kind: a folder by mode, a file by name", "the mode says what it is, as for bsdtar, zipfile and libzip"),
    (r"place: (stub in front|two archives)", "what stands before the archive is a stub (APPNOTE 4.1.9), and the last end record "
     "counts; unzip warns, libzip looks for offsets from the file's beginning"),
    (r"place: half an end record", "four bytes are no end record; zipfile takes the last signature for one"),
    (r"place: (only an end record|a million end records)", "an archive of nothing; unzip calls that an error"),
    (r"central \d\.version = ", "what is needed to extract is told by method and flags; unzip and zipfile go by the number"),
)

# Legal, all agree, and tmpdump refuses on purpose.
STRICTER = (
    (r"go: symlink.zip", "a link that leads out of the destination"),
    (r"go: (readme|test-trailing-junk).zip", "bytes behind the end record: cut off or appended to, nobody can tell"),
)


def reason(table, name):
    return next((why for pattern, why in table if re.search(pattern, name)), None)


class Judge:
    def __init__(self, program, folder):
        self.program, self.folder = os.path.abspath(program), folder
        self.broken = []

    def ask(self, data, key):
        """Everybody's outcome, tmpdump's under "tmpdump"."""
        sandbox = os.path.join(self.folder, key)
        os.makedirs(sandbox)
        archive = os.path.join(sandbox, "x.zip")
        with open(archive, "wb") as file:
            file.write(data)
        outcomes = {}
        for name, ask in [("tmpdump", oracles.tmpdump(self.program))] + list(oracles.ORACLES.items()):
            outcomes[name] = ask(archive, oracles.Place(os.path.join(sandbox, name)))
        subprocess.run(["rm", "-rf", sandbox], check=True)  # Python's own opens as many folders as are in each other
        return outcomes

    def complain(self, name, what, outcomes):
        self.broken.append(name)
        print(f"BROKEN {name}: {what}", flush=True)
        for who, outcome in outcomes.items():
            tree = {path.decode("utf-8", "backslashreplace"): what for path, what in sorted(outcome.tree.items())[:6]}
            print(f"    {who}: {'accepts' if outcome.accepted else 'refuses'} {outcome.status} {outcome.message!r} {tree}"
                  f"{' OUTSIDE ' + repr(outcome.outside) if outcome.outside else ''}")

    def judge(self, name, outcomes, legal):
        ours = outcomes["tmpdump"]
        others = [outcomes[who] for who in oracles.ORACLES]
        if ours.outside:
            self.complain(name, "something outside of the destination changed", outcomes)
        if ours.status not in (0, 4):
            self.complain(name, "neither accepted nor refused as a bad archive", outcomes)
        if any(ord(c) < 0x20 or ord(c) == 0x7F for c in ours.message):
            self.complain(name, "a control character in the message", outcomes)
        agree = all(other.same(others[0]) for other in others)
        if agree and legal and not ours.same(others[0]) and not reason(STRICTER, name):
            self.complain(name, "all others agree on what it holds", outcomes)
        if ours.accepted and not any(ours.same(other) for other in others) and not reason(ACCEPTED, name):
            self.complain(name, "nobody else makes this of it", outcomes)
        if ours.accepted and not agree and not reason(ACCEPTED, name):
            self.complain(name, "the others disagree, and it was not refused", outcomes)
        return agree


def verdict(outcome, ours, others):
    if not outcome.accepted:
        return "refuses"
    if ours.accepted:
        return "same" if outcome.tree == ours.tree else "**other**"
    # Letters tell whose trees are the same where ours is none.
    trees = []
    for other in others:
        if other.accepted and other.tree not in trees:
            trees.append(other.tree)
    return "accepts" if len(trees) == 1 else "accepts " + "ABCD"[trees.index(outcome.tree)]


def cell(text):
    return text.replace("|", "\\|").replace("`", "'")


def message_of(outcome):
    message = re.sub(r"^tmpdump( fetch)?: ", "", outcome.message)
    message = re.sub(r"(error: )?\S*x\.zip: ", "", message)
    return message if len(message) <= 150 else message[:150] + " …"


def row(name, outcomes):
    ours = outcomes["tmpdump"]
    others = [outcomes[who] for who in oracles.ORACLES]
    say = "accepted" if ours.accepted else f"`{cell(message_of(ours))}`"
    return f"| {cell(name)} | {say} | " + " | ".join(verdict(other, ours, others) for other in others) + " |"


HEAD = "| archive | tmpdump | " + " | ".join(oracles.ORACLES) + " |\n|---|---|" + "---|" * len(oracles.ORACLES)


def run_named(judge, pool, only):
    chosen = [case for case in cases.all_cases() if only in f"{case.group}: {case.name}"]
    futures = [pool.submit(judge.ask, case.data, f"n{number}") for number, case in enumerate(chosen)]
    groups = collections.defaultdict(list)
    for case, future in zip(chosen, futures):
        outcomes = future.result()
        judge.judge(f"{case.group}: {case.name}", outcomes, case.legal)
        groups[case.group].append(row(case.name, outcomes))
    titles = {"overlap": "Entries that overlap", "bomb": "Bombs", "sizes": "Sizes and CRCs that lie, in each of the three places",
              "zip64": "Zip64", "link": "Symbolic links", "name": "Names", "kind": "Kinds, encryption, methods",
              "data": "Data", "place": "Where the archive lies in the file"}
    return "\n\n".join(f"### {titles[group]}\n\n{HEAD}\n" + "\n".join(rows) for group, rows in groups.items())


def run_mutations(judge, pool, only, every):
    chosen = [m for m in cases.mutations() if only in f"{m[0]}.{m[1]}"][::every]
    futures = [pool.submit(judge.ask, data, f"m{number}") for number, (*_, data) in enumerate(chosen)]
    fields = collections.OrderedDict()
    for (record, name, value, _), future in zip(chosen, futures):
        outcomes = future.result()
        agree = judge.judge(f"{record}.{name} = {value:#x}", outcomes, False)
        counts = fields.setdefault((record.split()[0], name), collections.Counter())
        counts["all"] += 1
        counts["accepted"] += outcomes["tmpdump"].accepted
        counts["agreed"] += agree
        counts["stricter"] += agree and not outcomes["tmpdump"].accepted
    rows = [f"| {record} | {name} | {c['all']} | {c['accepted']} | {c['agreed']} | {c['stricter']} |"
            for (record, name), c in fields.items()]
    return ("| record | field | values tried | tmpdump accepts | the four agree on a tree | of these tmpdump refuses |\n"
            "|---|---|---|---|---|---|\n" + "\n".join(rows))


def run_truncations(judge, pool, only, every):
    lines = []
    for what, archive in (("plain", cases.base()), ("zip64", cases.base64())):
        if only not in f"cut {what}":
            continue
        whole = bytes(archive.bytes)
        sizes = range(0, len(whole), every)
        futures = [pool.submit(judge.ask, whole[:size], f"t{what}{size}") for size in sizes]
        refused = 0
        for size, future in zip(sizes, futures):
            outcomes = future.result()
            if outcomes["tmpdump"].accepted:
                judge.complain(f"cut {what} at {size}", "a part is taken for the whole", outcomes)
            judge.judge(f"cut {what} at {size}", outcomes, False)
            refused += not outcomes["tmpdump"].accepted
        lines.append(f"- {what}: {len(sizes)} of {len(whole)} lengths, {refused} refused")
    return "\n".join(lines)


def public_archives():
    """Of Go's and CPython's distributions, where they are installed."""
    go = shutil.which("go")
    if go:
        root = subprocess.run([go, "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
        folder = os.path.join(root, "src", "archive", "zip", "testdata")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if ".zip" in name:
                with open(os.path.join(folder, name), "rb") as file:
                    data = file.read()
                yield "go: " + name, base64.b64decode(data) if name.endswith(".base64") else data
    for folder, _, names in os.walk(os.path.join(os.path.dirname(os.__file__), "test")):
        for name in sorted(names):
            if name.endswith((".zip", ".whl", ".egg")):
                with open(os.path.join(folder, name), "rb") as file:
                    yield "cpython: " + name, file.read()


def run_public(judge, pool, only):
    chosen = [(name, data) for name, data in public_archives() if only in name]
    futures = [pool.submit(judge.ask, data, f"p{number}") for number, (_, data) in enumerate(chosen)]
    rows = []
    for (name, _), future in zip(chosen, futures):
        outcomes = future.result()
        judge.judge(name, outcomes, True)
        rows.append(row(name, outcomes))
    return HEAD + "\n" + "\n".join(rows)


def reasons():
    lines = ["### Where the four disagree, and tmpdump accepts", ""]
    lines += [f"- `{cell(pattern)}`: {why}" for pattern, why in ACCEPTED]
    lines += ["", "### Where the four agree, and tmpdump refuses", ""]
    lines += [f"- `{cell(pattern)}`: {why}" for pattern, why in STRICTER]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--docs")
    parser.add_argument("--check-docs")
    parser.add_argument("--only", default="")
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    missing = [name for name in ("unzip", "bsdtar") if not shutil.which(name)]
    if missing:
        sys.exit(f"hostile_test: {', '.join(missing)} not installed: tools/install-packages test")
    with tempfile.TemporaryDirectory(prefix="tmpdump-hostile-") as folder, \
            concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)) + 1) as pool:
        judge = Judge(options.program, folder)
        named = run_named(judge, pool, options.only)
        public = run_public(judge, pool, options.only)
        mutated = run_mutations(judge, pool, options.only, options.every)
        cut = run_truncations(judge, pool, options.only, options.every)
    if os.path.lexists("/tmp/tmpdump-hostile-absolute"):
        judge.broken.append("absolute path written")
    table = "\n\n".join((reasons(), named, "### Archives of Go's and CPython's tests\n\n" + public,
                         "### Every field of every record, at its extremes and beside its value\n\n" + mutated,
                         "### Cut at every length\n\n" + cut)) + "\n"
    if options.docs:
        with open(options.docs, encoding="utf-8") as file:
            text = file.read()
        with open(options.docs, "w", encoding="utf-8") as file:
            file.write(text[:text.index(MARK) + len(MARK)] + "\n\n" + table)
    if options.check_docs:
        with open(options.check_docs, encoding="utf-8") as file:
            text = file.read()
        wanted = text[text.index(MARK) + len(MARK):].strip()
        if options.every > 1:  # of a sparse run the named archives alone are whole
            wanted, table = (part.split("### Archives of Go's")[0].strip() for part in (wanted, table))
        if wanted != table.strip():
            print(f"{options.check_docs} is not what this run found: write it anew with --docs")
            judge.broken.append("docs")
    print(f"{len(judge.broken)} broken rules")
    sys.exit(1 if judge.broken else 0)


MARK = "<!-- written by tests/hostile/hostile_test.py --docs -->"

if __name__ == "__main__":
    main()
