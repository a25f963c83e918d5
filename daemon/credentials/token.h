// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "config/options.h"

namespace tmpdump::credentials {

// The value of the Authorization header for the container endpoint, empty for none: from the file, read anew
// each time because it is rotated, else from the variable. Line breaks at the file's end are stripped; one
// inside would add a header of the file's choice, so it is refused.
result<Secret> authorization_token(const config::ContainerEndpoint& endpoint);

} // namespace tmpdump::credentials
