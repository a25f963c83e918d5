// SPDX-License-Identifier: Apache-2.0
// The compiled part of Boost.Asio's TLS streams, which this module does not use itself.
#include <boost/asio/ssl/impl/src.hpp>
