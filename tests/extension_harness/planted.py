# SPDX-License-Identifier: Apache-2.0
"""The secrets that a test plants, and where there is a piece of one."""
import os
import stat
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

PIECE = 12  # bytes: what is left of a secret whose memory was used again in part, and what no other text has by chance
MOST_PIECES = 200
VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
WORDS = {word: f"{word}=".encode() for word in ("Signature", "Credential")}  # what stands before one


def of(environment):
    """{name: bytes} of a program's environment."""
    found = {name: environment[name] for name in VARIABLES if environment.get(name)}
    for name, value in parse_qsl(urlsplit(environment.get("TMPDUMP_URI", "")).query):
        found[f"TMPDUMP_URI's {name}"] = value
    file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    if file and os.path.isfile(file):
        found[file] = Path(file).read_text()
    return {name: value.encode() for name, value in found.items() if len(value) >= 8}  # shorter ones are no secret


def seen(secrets, data, step=1):
    """The names of those of which PIECE + step - 1 bytes in a row are in `data`, of very long ones a few more; of one that is
    shorter, all of it.
    """
    return [name for name, secret in secrets.items()
            if any(secret[at:at + PIECE] in data
                   for at in range(0, max(1, len(secret) - PIECE + 1), max(step, len(secret) // MOST_PIECES)))]


def files(*places):
    """(path, content) of the regular files at and below these places, as far as there are any."""
    for place in places:
        for path in [place, *(Path(folder, name) for folder, _, names in os.walk(place) for name in names)]:
            try:
                if stat.S_ISREG(path.lstat().st_mode):  # nobody writes to a pipe
                    yield path, path.read_bytes()
            except OSError:
                pass  # none, or it vanished meanwhile
