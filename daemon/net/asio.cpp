// SPDX-License-Identifier: Apache-2.0
// The compiled part of Boost.Asio.
#include <boost/asio/impl/src.hpp>
