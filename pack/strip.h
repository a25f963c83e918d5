// SPDX-License-Identifier: Apache-2.0
// Debug sections, which no function needs, off the libraries.
#pragma once

#include "pack/interrupt.h"
#include "pack/libraries.h"
#include "pack/workspace.h"

namespace tmpdump::pack {

// Replaces each ELF file by a copy without debug sections (binutils' strip --strip-debug, $STRIP names
// another) where that is smaller. The copies lie in the workspace; the originals stay as they are.
result<void> strip_debug(std::vector<Item>& items, const Libraries& libraries, Workspace& workspace,
                         const Interrupt& interrupt);

} // namespace tmpdump::pack
