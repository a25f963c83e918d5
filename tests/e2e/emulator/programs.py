# SPDX-License-Identifier: Apache-2.0
"""What takes part: the build's own programs, AWS's emulator, the functions. Installed tools come from tools/."""
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parents[1]
JVM_OPTIONS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]  # as Lambda's java17 has them


def tool(name):
    """What tools/NAME prints; asked before namespaces.enter(), where there is no network to install it from."""
    variable = "TMPDUMP_" + name.upper().replace("-", "_")
    if variable not in os.environ:
        done = subprocess.run([ROOT / "tools" / name], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{os.path.basename(sys.argv[0])}: tools/{name} failed (above)")
        os.environ[variable] = done.stdout.strip()
    return Path(os.environ[variable])


class Programs:
    """build: the build folder, with bin/ and lib/."""

    def __init__(self, build):
        self.rie = tool("lambda-rie")
        self.extension = build / "bin" / "tmpdump-prefetch"
        self.origin = build / "bin" / "tmpdump-origin"
        self.library = (build / "lib" / "libtmpdump.so").resolve()
        self.java_class = build / "lib" / "tmpdump.jar"
        for path in (self.extension, self.origin, self.library):
            if not path.exists():
                raise SystemExit(f"{os.path.basename(sys.argv[0])}: {path} is not built")


@dataclass
class Function:
    language_home: str  # is seen as /var/lang, where Lambda has its languages
    command: list
    files: dict = field(default_factory=dict)  # place in the sandbox: source
    variables: dict = field(default_factory=dict)


def python():
    """tests/e2e/python-function: does as its events say, and starts in milliseconds."""
    home = Path(sys.base_prefix)
    return Function(str(home), [f"/var/lang/bin/{Path(sys.executable).resolve().name}", "-IS", "/var/task/function.py"],
                    {"task/function.py": HERE / "python-function" / "function.py"}, {"_HANDLER": "function"})


def java(programs):
    """tests/e2e/java-function, started as Lambda's Java runtime starts a function."""
    built = tool("java-function")
    files = {"task/lib/function.jar": built / "function.jar", "task/lib/tmpdump.jar": programs.java_class}
    runtime = []
    for jar in sorted((built / "lib").iterdir()):
        if jar.name.startswith("aws-lambda-"):
            files[f"runtime/lib/{jar.name}"] = jar
            runtime.append(f"/var/runtime/lib/{jar.name}")
        else:
            files[f"task/lib/{jar.name}"] = jar
    program = Path(shutil.which("java")).resolve()
    options = "-Dorg.bytedeco.javacpp.pathsFirst=true -Dorg.bytedeco.javacpp.cachedir=/tmp/.javacpp " \
              "-Djava.library.path=/tmp/lib:/opt/lib"
    command = ["/var/lang/bin/java", *JVM_OPTIONS, "-classpath", ":".join(runtime),
               "com.amazonaws.services.lambda.runtime.api.client.AWSLambda", "e2e.Function"]
    return Function(str(program.parents[1]), command, files, {"_HANDLER": "e2e.Function", "JAVA_TOOL_OPTIONS": options})
