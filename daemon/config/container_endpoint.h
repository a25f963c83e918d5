// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/options.h"

#include <optional>
#include <string_view>

namespace tmpdump::config {

// Hosts that may be asked for credentials without TLS, as in AWS's SDKs: loopback addresses and "localhost",
// and the link-local endpoints of ECS (169.254.170.2) and EKS (169.254.170.23, fd00:ec2::23).
bool is_trusted_without_tls(std::string_view host);

// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI (a path at 169.254.170.2), which wins, or ..._FULL_URI; with the
// token's variables. nullopt when neither is set.
result<std::optional<ContainerEndpoint>> container_endpoint(const Environment& environment);

} // namespace tmpdump::config
