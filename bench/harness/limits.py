# SPDX-License-Identifier: Apache-2.0
"""What nobody can beat in a cell: max(bytes / bandwidth, decoding / cores) + one connection's set-up."""
from harness.links import LINKS


def limit_s(cell, facts, form):
    """Seconds to ready, for an archive in this form."""
    arrive = LINKS[cell["link"]].seconds(facts["size"][form])
    decode = cell["decode_cpu_s"][form] / cell["cores"]
    return max(arrive, decode) + cell["setup_s"]


def explain(cell, facts, form):
    """The same in words."""
    arrive = LINKS[cell["link"]].seconds(facts["size"][form])
    decode = cell["decode_cpu_s"][form] / cell["cores"]
    parts = [f"{facts['size'][form] / 1e6:.1f} MB arrive in {arrive:.2f} s" if arrive else "nothing limits the link",
             f"decoding takes {cell['decode_cpu_s'][form]:.2f} s of {cell['cores']} core{'s' if cell['cores'] > 1 else ''}",
             f"set-up {cell['setup_s'] * 1e3:.0f} ms"]
    return f"{limit_s(cell, facts, form):.2f} s: " + ", ".join(parts)
