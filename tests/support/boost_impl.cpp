// SPDX-License-Identifier: Apache-2.0
// Asio and Beast, compiled once, for programs that do not link daemon/net (which has its own).
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
