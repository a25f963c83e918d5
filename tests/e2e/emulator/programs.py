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
        self.build = build
        self.rie = tool("lambda-rie")
        self.extension = build / "bin" / "tmpdump-prefetch"
        self.origin = build / "bin" / "tmpdump-origin"
        self.library = (build / "lib" / "libtmpdump.so").resolve()
        self.java_class = build / "lib" / "tmpdump.jar"
        self.wrapper = build / "bin" / "exec-wrapper"
        self.preload = build / "lib" / "libtmpdump-preload.so"
        self.addon = build / "tests" / "libraries" / "addon.node"
        self.leaf = build / "tests" / "libraries" / "libleaf.so"
        for path in (self.extension, self.origin, self.library, self.wrapper, self.preload):
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
    function = java_runtime(Path(shutil.which("java")).resolve().parents[1], "e2e.Function")
    function.files["task/lib/tmpdump.jar"] = programs.java_class
    function.variables["JAVA_TOOL_OPTIONS"] += " -Djava.library.path=/tmp/lib:/opt/lib"
    return function


def java_runtime(home, handler, paths_first=True, built=None):
    """A handler under AWS's own runtime client; `home` is that of the JVM. `built`: a folder with function.jar and lib/,
    else that of tests/e2e/java-function.
    """
    built = built or tool("java-function")
    files = {"task/lib/function.jar": built / "function.jar"}
    runtime = []
    for jar in sorted((built / "lib").iterdir()):
        if jar.name.startswith("aws-lambda-"):
            files[f"runtime/lib/{jar.name}"] = jar
            runtime.append(f"/var/runtime/lib/{jar.name}")
        else:
            files[f"task/lib/{jar.name}"] = jar
    options = "-Dorg.bytedeco.javacpp.cachedir=/tmp/.javacpp"
    if paths_first:
        options += " -Dorg.bytedeco.javacpp.pathsFirst=true"
    command = ["/var/lang/bin/java", *JVM_OPTIONS, "-classpath", ":".join(runtime),
               "com.amazonaws.services.lambda.runtime.api.client.AWSLambda", handler]
    return Function(str(home), command, files, {"_HANDLER": handler, "JAVA_TOOL_OPTIONS": options})


def temurin():
    """The home of a JVM that was built with an older glibc; None where there is none for this machine."""
    return tool("temurin") if os.uname().machine == "x86_64" else None


def python_packages():
    """The folder of the tests' own packages, and the command and home of the Python that they are built for."""
    asked = "import os, sys, sysconfig; print(sysconfig.get_path('platlib'), sys.base_prefix, os.path.realpath(sys.executable))"
    done = subprocess.run([tool("python-venv"), "-c", asked], stdout=subprocess.PIPE, text=True, check=True)
    folder, home, program = done.stdout.split()
    return Path(folder), Path(program).name, home


def python_unaware():
    """tests/e2e/python-function/unaware.py"""
    _, program, home = python_packages()
    return Function(home, [f"/var/lang/bin/{program}", "-IS", "/var/task/unaware.py"],
                    {"task/unaware.py": HERE / "python-function" / "unaware.py"}, {"_HANDLER": "unaware"})


def node_unaware():
    """tests/e2e/node-function/unaware.js; None without Node."""
    program = shutil.which("node")
    if not program:
        return None
    return Function(str(Path(program).resolve().parents[1]), ["/var/lang/bin/node", "/var/task/unaware.js"],
                    {"task/unaware.js": HERE / "node-function" / "unaware.js"}, {"_HANDLER": "unaware"})


def wrapped(function, wrapper="/opt/tmpdump/exec-wrapper"):
    """The function as it starts with AWS_LAMBDA_EXEC_WRAPPER: the emulator has the runtime's bootstrap do that."""
    return Function(function.language_home, [wrapper, *function.command], function.files, function.variables)
