#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches and builds what the stories need from outside, once; their own time limits are not made for downloads.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools/lambda-rie
tools/java-function
tools/java-opencv
python3 bench/workloads.py --path openblas
if [[ $(uname -m) == x86_64 ]]; then tools/temurin; fi
