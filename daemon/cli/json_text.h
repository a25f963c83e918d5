// SPDX-License-Identifier: Apache-2.0
// Values of a manifest as JSON. Pure.
#pragma once

#include "manifest/reader.h"

#include <boost/json/value.hpp>

#include <string>

namespace tmpdump::cli {

// A name that is not UTF-8, or that would act on a terminal, is not exact: its text is printable()'s form.
bool is_exact(const std::string& text);
boost::json::string text_of(const std::string& text);
// From the daemon's start, ns; null for what did not happen.
boost::json::value since(const manifest::Status& status, std::uint64_t at_ns);

} // namespace tmpdump::cli
