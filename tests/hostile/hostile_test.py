#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile archives through `tmpdump fetch`, beside unzip, bsdtar, Python's zipfile and libzip.

    hostile_test.py TMPDUMP                      every archive; status 1 when a rule is broken
    hostile_test.py TMPDUMP --write-table FILE   the same, and writes the tables of docs/hostile-archives.md into FILE
    hostile_test.py TMPDUMP --check-table FILE   one rule more: FILE has the tables that this run would write

--only TEXT takes the archives whose name has TEXT, --every N each Nth mutation and cut. --sanitized: TMPDUMP was built with
sanitizers, of which each report breaks rule 1.

The rules:
 1. tmpdump ends in time, with status 0 (the tree is there) or 4 (it says why), in one line without control or format
    characters, and nothing outside changes.
 2. Where the four agree on one tree and the archive is legal, tmpdump makes the same tree, unless DECISIONS names the reason.
 3. Where they do not agree, tmpdump refuses, unless DECISIONS names the reason.
 4. What tmpdump accepts is the tree of at least one of the others.
 5. Each reason is needed.

What the four do is a matter of their versions, and the document names those. For one that is of another, be it a revision of Debian's
(some refuse what the one before took), stands what the document says of it, or nobody where that says nothing; what it does itself is told.
Rules 1 and 4 hold whichever there are.
"""
import argparse
import base64
import collections
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata

import cases
import oracles

# Of which archives we do not do as the sentence says, and why.
DECISIONS = (
    # Accepted, though the four disagree.
    (r"name: backslash, from Unix", "`zip -r` writes such names as they are (systemd's units have them); bsdtar alone takes it for "
     "a separator, and only where the name has no `/`"),
    (r"name: CP437, from (DOS|NTFS)|cpython: zip_cp437_header|^unicode path of .*\.(id|crc)", "APPNOTE 4.4.4 and appendix D name the "
     "encoding, and Windows writes it; unzip takes it for Latin-1, bsdtar leaves the bytes"),
    (r"name: (an accent on its own|twins by Unicode form)", "on Linux a name is its bytes, and macOS writes them so; bsdtar alone "
     "composes them"),
    (r"Unicode Path: (of substitutes|of numbers|in the directory alone)", "what Info-ZIP and WinRAR write for a name that the code "
     "page has no letters for; this zipfile does not know the field, bsdtar only that of the local header"),
    (r"place: stub in front, offsets not", "`cat stub zip` (APPNOTE 4.1.9); libzip alone looks for offsets from the "
     "file's beginning, unzip warns"),
    (r"place: an archive of nothing in front", "a signature and zeros: whatever can read zips has that in it, and may be a stub; "
     "libzip alone takes them for the archive"),
    (r"kind: needs version 6\.3", "that is the version that has zstd; unzip knows 4.6"),
    (r"kind: method zstd", "legal (APPNOTE 4.4.5); unzip, this zipfile and this libzip do not have it"),
    (r"zip64: no disk|^locator64\.disks = 0x0", "minizip counted so until 2018; unzip alone minds"),
    (r"link: made by OS X", "a Unix (APPNOTE 4.4.2.2), so the mode counts; unzip and bsdtar make a file of it"),
    (r"bomb: path: a name of 4096 bytes", "PATH_MAX is a limit of one call, and where the destination lies is not the archive's "
     "affair; all but bsdtar give the kernel both in one"),
    # Refused, though the four agree and it is legal.
    (r"link: (out|absolute|up after|chain that leaves)|go: symlink.zip", "a link that leads out, or may: promise c of SECURITY.md"),
    (r"link: into our own|name: our own folder", "what tmpdump itself writes there must not be an archive's"),
    (r"name: (the same twice|twins by a dot)", "who reads from the front has published the first, and a published file never changes"),
    (r"kind: (FIFO|socket)", "no file, and an empty one in its place would not be what was packed"),
    (r"place: bytes behind|go: (readme|test-trailing-junk).zip", "APPNOTE 4.3.6 ends with the end record. Cut off behind an "
     "archive within it, an archive looks just so (\"cut off behind an archive within\"), and the inner one would be unpacked"),
    (r"place: an archive within whose comment", "from the file's end it cannot be told from an archive in the comment"),
)

TITLES = {"overlap": "Entries that overlap", "bomb": "Bombs", "sizes": "Sizes and CRCs that lie, in each of the three places",
          "zip64": "Zip64", "link": "Symbolic links", "name": "Names", "kind": "Kinds, versions, encryption, methods",
          "data": "Data", "place": "Where the archive lies in the file", "go": "Of Go's archive/zip", "cpython": "Of CPython's tests"}
WARNS = ", warns"
MARK = "<!-- written by tests/hostile/hostile_test.py --write-table -->"
SPARSE = "### Every field"  # from here on a run with --every has other figures


class Judge:
    """`known`: of the others, those of the document's versions; `document`: its rows."""

    def __init__(self, tmpdump, folder, known, document):
        self.tmpdump, self.folder = tmpdump, folder
        self.known, self.document = known, document
        self.broken = []
        self.told = []  # nothing fails: by those of other versions
        self.used = set()

    def ask(self, data, key):
        """Everybody's outcome, tmpdump's under "tmpdump"."""
        sandbox = os.path.join(self.folder, key)
        os.makedirs(sandbox)
        archive = os.path.join(sandbox, "x.zip")
        with open(archive, "wb") as file:
            file.write(data)
        outcomes = {}
        for name, ask in [("tmpdump", self.tmpdump)] + list(oracles.ORACLES.items()):
            outcomes[name] = ask(archive, oracles.Place(os.path.join(sandbox, name)))
        subprocess.run(["rm", "-rf", sandbox], check=True)  # Python's own opens as many folders as are in each other
        return outcomes

    def complain(self, rules, name, what, outcomes):
        rules.append(name)
        print(f"{'BROKEN' if rules is self.broken else 'TOLD'} {name}: {what}", flush=True)
        for who, outcome in outcomes.items():
            print(f"    {who}: {told(outcome)}")

    def settle(self, name, data, outcomes, legal, key=None, surprising=lambda outcomes: False):
        """The outcomes. If they are a surprise it is not that of a machine short of something: they are the same twice.
        `key`: of the archive's row in the document.
        """
        if self.complaints(name, outcomes, legal, key) or surprising(outcomes):
            again = self.ask(data, f"again{len(os.listdir(self.folder))}")
            for who, outcome in outcomes.items():
                if (outcome.accepted, outcome.tree) != (again[who].accepted, again[who].tree):
                    print(f"UNSTABLE {name}: {who}: {told(outcome)}, then {told(again[who])}", flush=True)
                    if who == "tmpdump":
                        self.broken.append(f"{name}: not the same twice")
            outcomes = again
        for rules, what in self.complaints(name, outcomes, legal, key):
            self.complain(rules, name, what, outcomes)
        return outcomes

    def decision(self, name):
        return next((number for number, (pattern, _) in enumerate(DECISIONS) if re.search(pattern, name)), None)

    def complaints(self, name, outcomes, legal, key=None):
        """(list that it belongs to, what is wrong)."""
        ours = outcomes["tmpdump"]
        found = []
        if ours.outside:
            found.append((self.broken, "something outside of the destination changed"))
        if ours.status not in (0, 4):
            found.append((self.broken, "neither accepted nor refused as a bad archive"))
        if not is_one_line(ours.said, ours.accepted):
            found.append((self.broken, f"not one line of what can be printed: {ours.said[-300:]!r}"))
        made, all_made = self.made(outcomes, key), {who: tree_of(outcomes[who]) for who in oracles.ORACLES}
        if ours.accepted and ours.tree not in (*made.values(), *all_made.values()):
            found.append((self.broken, "nobody else makes this of it"))
        decision = self.decision(name)
        needed, wrong = against_the_others(ours, made, legal, decision)
        if needed:
            self.used.add(decision)
        _, told_wrong = against_the_others(ours, all_made, legal, decision)
        return found + ([(self.broken, wrong)] if wrong else [(self.told, told_wrong)] if told_wrong else [])

    def made(self, outcomes, key):
        """What tree each of the others makes, None: none. For those of another version the document speaks, if it does."""
        ours, row = outcomes["tmpdump"], self.document.get(key)
        made = {who: tree_of(outcomes[who]) for who in self.known}
        if not row or row[-2] != verb(ours):
            return made
        cells = {who: cell.removesuffix(WARNS) for who, cell in zip(oracles.ORACLES, row[1:])}
        for who in set(oracles.ORACLES) - self.known:
            if cells[who] == "refuses":
                made[who] = None
            elif cells[who] == "same":
                made[who] = ours.tree
            elif ours.accepted:
                made[who] = {b"/": who}  # nobody else's
            else:  # theirs who have the same letter
                made[who] = next((made[other] for other in self.known if cells[other] == cells[who]), {b"/": cells[who]})
        return made


def tree_of(outcome):
    return outcome.tree if outcome.accepted else None


def against_the_others(ours, made, legal, decision):
    """Whether rule 2 or 3 needs the decision, and what is wrong, "": nothing."""
    trees = list(made.values())
    same = all(tree is not None and tree == trees[0] for tree in trees)
    if ours.accepted and not same:
        return True, "the others disagree, and it was not refused" if decision is None else ""
    if same and legal and len(made) == len(oracles.ORACLES) and tree_of(ours) != trees[0]:
        return True, "all others agree on what it holds" if decision is None or ours.accepted else ""
    return False, ""


def is_one_line(said, accepted):
    """Whatever the archive's names are: a line feed at the end is its only control character, and nothing of it is invisible
    or turns the direction of the rest."""
    try:
        text = said.decode()
    except UnicodeDecodeError:
        return False
    line = text.removesuffix("\n")
    plain = not any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in line)
    return plain and "" != line != text and (accepted or line.startswith("tmpdump: error: "))


def agreed(outcomes):
    return all(outcomes[who].same(outcomes["unzip"]) for who in oracles.ORACLES)


def told(outcome):
    tree = {path.decode("utf-8", "backslashreplace"): what for path, what in sorted(outcome.tree.items())[:6]}
    return (f"{verb(outcome)} {outcome.status} {outcome.message!r} {tree}"
            f"{' OUTSIDE ' + repr(outcome.outside) if outcome.outside else ''}")


def verb(outcome):
    return "accepts" if outcome.accepted else "refuses"


def verdict(outcome, ours, others):
    if not outcome.accepted:
        return "refuses"
    warns = WARNS if outcome.warned else ""
    if ours.accepted:
        return ("same" if outcome.tree == ours.tree else "**other**") + warns
    # Letters tell whose trees are the same where ours is none.
    trees = []
    for other in others:
        if other.accepted and other.tree not in trees:
            trees.append(other.tree)
    return "accepts" + ("" if len(trees) == 1 else " " + "ABCD"[trees.index(outcome.tree)]) + warns


def cell(text):
    return text.replace("|", "\\|")


def message_of(outcome):
    message = re.sub(r"^tmpdump: error: ", "", outcome.message)
    message = re.sub(r"\S*/x\.zip: ", "", message).replace("`", "'")
    return re.sub(r"(.)\1{9,}", r"\1\1\1…", message)


def row(judge, name, shown, legal, outcomes):
    ours = outcomes["tmpdump"]
    others = [outcomes[who] for who in oracles.ORACLES]
    decision = judge.decision(name)
    why = [] if ours.accepted else [f"`{message_of(ours)}`"]
    if decision is not None:
        why.append(DECISIONS[decision][1])
    return (f"| {cell(shown)} | {'yes' if legal else 'no'} | " + " | ".join(verdict(other, ours, others) for other in others)
            + f" | {verb(ours)} | {cell(': '.join(why))} |")


HEAD = ("| archive | legal | " + " | ".join(oracles.ORACLES) + " | tmpdump | its reason |\n|---|---|---|---|"
        + "---|" * len(oracles.ORACLES))


def go_package():
    """Of the Go that is there, or of Debian's golang-*-src."""
    go = shutil.which("go")
    roots = [subprocess.run([go, "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()] if go else []
    for root in roots + sorted(glob.glob("/usr/share/go-*"), reverse=True):
        package = os.path.join(root, "src", "archive", "zip")
        if os.path.isdir(os.path.join(package, "testdata")):
            return package
    return "/nowhere"


def go_archives():
    package = go_package()
    folder = os.path.join(package, "testdata")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if ".zip" in name:
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            yield name, base64.b64decode(data) if name.endswith(".base64") else data
    if os.path.isfile(os.path.join(package, "reader_test.go")):
        with open(os.path.join(package, "reader_test.go"), encoding="utf-8") as file:
            source = file.read()
        for function, name in (("rZipBytes", "r.zip, which holds itself"), ("biggestZipBytes", "biggest.zip, 4 GiB of zeros")):
            dump = re.search(rf"func {function}\(\) .*?`([^`]*)`", source, re.DOTALL)
            if dump:
                yield name, bytes.fromhex(re.sub(r"[0-9a-f]{7}|\s", "", dump[1]))


def cpython_archives():
    seen = set()
    for folder, folders, names in os.walk(os.path.join(os.path.dirname(os.__file__), "test")):
        folders.sort()
        for name in sorted(names):
            if name.endswith((".zip", ".whl", ".egg")) and name not in seen:
                seen.add(name)
                with open(os.path.join(folder, name), "rb") as file:
                    yield name, file.read()


PACKAGES = {"go": go_archives, "cpython": cpython_archives}


def named_archives():
    yield from cases.all_cases()
    for group, source in PACKAGES.items():
        for name, data in sorted(source()):
            yield cases.Case(group, name, data, True)


def run_named(judge, pool, only):
    chosen = [case for case in named_archives() if only in f"{case.group}: {case.name}"]
    futures = [pool.submit(judge.ask, case.data, f"n{number}") for number, case in enumerate(chosen)]
    groups = collections.defaultdict(list)
    for case, future in zip(chosen, futures):
        name = f"{case.group}: {case.name}"
        title = TITLES[case.group]

        def line(outcomes):
            return row(judge, name, case.name, case.legal, outcomes)

        def named_row(outcomes):
            return named_rows(f"### {title}\n{line(outcomes)}").popitem()

        def surprising(outcomes):
            key, cells = named_row(outcomes)
            return columns(judge.document.get(key, cells), judge.known) != columns(cells, judge.known)
        outcomes = future.result()
        groups[title].append(line(judge.settle(name, case.data, outcomes, case.legal, named_row(outcomes)[0], surprising)))
    return "\n\n".join(f"### {title}\n\n{HEAD}\n" + "\n".join(rows) for title, rows in groups.items())


def run_mutations(judge, pool, only, every):
    chosen = [m for m in cases.mutations() if only in f"{m[0]}.{m[1]}"][::every]
    futures = [pool.submit(judge.ask, data, f"m{number}") for number, (*_, data) in enumerate(chosen)]
    fields = collections.OrderedDict()
    for (record, name, value, data), future in zip(chosen, futures):
        outcomes = judge.settle(f"{record}.{name} = {value:#x}", data, future.result(), False)
        counts = fields.setdefault((re.sub(r" \d+$", "", record), name), collections.Counter())
        counts["all"] += 1
        counts["accepted"] += outcomes["tmpdump"].accepted
        counts["agreed"] += agreed(outcomes)
        counts["stricter"] += agreed(outcomes) and not outcomes["tmpdump"].accepted
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
            name = f"cut {what} at {size}"
            outcomes = judge.settle(name, whole[:size], future.result(), False)
            if outcomes["tmpdump"].accepted:
                judge.complain(judge.broken, name, "a part is taken for the whole", outcomes)
            refused += not outcomes["tmpdump"].accepted
        lines.append(f"- {what}: {len(sizes)} of {len(whole)} lengths, {refused} refused")
    return "\n".join(lines)


def written(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return text[:text.index(MARK) + len(MARK)], text[text.index(MARK) + len(MARK):].strip()


def named_rows(table):
    """(title, archive) -> cells, of the archives that have a name."""
    title, rows = "", {}
    for line in table.partition(SPARSE)[0].splitlines():
        if line.startswith("### "):
            title = line.removeprefix("### ")
        elif line.startswith("| ") and not line.startswith("| archive |"):
            cells = [text.strip() for text in re.split(r"(?<!\\)\|", line)[1:-1]]
            rows[title, cells[0]] = cells[1:]
    return rows


def columns(row, known):
    """Without those who are not known."""
    if not row:
        return row
    cells = [cell for who, cell in zip(oracles.ORACLES, row[1:]) if who in known]
    letters = list(dict.fromkeys(re.findall("(?<=accepts )[A-D]", " ".join(cells))))  # anew: by whose trees are the same

    def renamed(found):
        return found[1] if len(letters) == 1 else f"{found[1]} {'ABCD'[letters.index(found[2])]}"
    return [row[0], *(re.sub("(accepts) ([A-D])", renamed, cell) for cell in cells), *row[1 + len(oracles.ORACLES):]]


def figures(table, known):
    """Of what was mutated and cut; the last two are about all of the others."""
    lines = table.partition(SPARSE)[2].splitlines()
    return lines if len(known) == len(oracles.ORACLES) else [line.rsplit("|", 3)[0] for line in lines]


def differences(document, run, known):
    """What the document says otherwise, in words. Of packages each version has some more archives or fewer."""
    there, here = named_rows(document), named_rows(run)
    packages = [TITLES[name] for name in PACKAGES]
    for key in sorted(there.keys() | here.keys()):
        if key[0] in packages and not (key in there and key in here):
            continue
        old, new = columns(there.get(key), known), columns(here.get(key), known)
        if old != new:
            yield f"{key[0]}: {key[1]}: the document has {old}, the run {new}"


def known_ones(document, versions):
    """Those that are of the document's versions; without a document all."""
    if not document:
        return set(oracles.ORACLES)
    there = document.splitlines()[0].removeprefix("Of ").removesuffix(".").split(", ")
    return {who for who, version in zip(oracles.ORACLES, there) if version == versions[who]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--write-table")
    parser.add_argument("--check-table")
    parser.add_argument("--only", default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--sanitized", action="store_true")
    options = parser.parse_args()
    missing = [name for name in ("unzip", "bsdtar", "prlimit") if not shutil.which(name)]
    if missing:
        sys.exit(f"hostile_test: {', '.join(missing)} not installed: tools/install-packages test")
    empty = [name for name, archives in PACKAGES.items() if not any(archives())]
    if empty:
        sys.exit(f"hostile_test: no archives of {' and '.join(empty)}: tools/install-packages archives")
    versions = oracles.versions()
    document = written(options.check_table)[1] if options.check_table else ""
    known = known_ones(document, versions)
    for who in sorted(set(oracles.ORACLES) - known):
        print(f"{who}: {versions[who]} is another than the document's: what it does is told, not judged")
    with tempfile.TemporaryDirectory(prefix="tmpdump-hostile-", dir=oracles.scratch()) as folder, \
            concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)) + 1) as pool:
        judge = Judge(oracles.tmpdump(os.path.abspath(options.program), options.sanitized), folder, known, named_rows(document))
        named = run_named(judge, pool, options.only)
        mutated = run_mutations(judge, pool, options.only, options.every)
        cut = run_truncations(judge, pool, options.only, options.every)
    if os.path.lexists("/tmp/tmpdump-hostile-absolute"):
        print("BROKEN somebody has written /tmp/tmpdump-hostile-absolute: remove it")
        judge.broken.append("absolute path written")
    table = "\n\n".join(("Of " + ", ".join(versions.values()) + ".", named, SPARSE + " of every record, at its extremes and beside its value\n\n" + mutated,
                         "### Cut at every length\n\n" + cut))
    if options.write_table:
        before, _ = written(options.write_table)
        with open(options.write_table, "w", encoding="utf-8") as file:
            file.write(before + "\n\n" + table + "\n")
    if options.check_table and not options.only:
        different = list(differences(document, table, known))
        if options.every == 1 and figures(document, known) != figures(table, known):
            different.append("the figures of what was mutated and cut")
        for line in different:
            print("DIFFERENT " + line)
        if different:
            print(f"{options.check_table} is not what this run found; look whether it should be, then: --write-table")
            judge.broken += different
    if not options.only:
        for number, (pattern, _) in enumerate(DECISIONS):
            if number not in judge.used:
                print(f"BROKEN no archive needs the reason for {pattern!r}")
                judge.broken.append(pattern)
    print(f"{len(judge.broken)} broken, {len(judge.told)} told of other versions")
    sys.exit(1 if judge.broken else 0)


if __name__ == "__main__":
    main()
