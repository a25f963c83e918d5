// SPDX-License-Identifier: Apache-2.0
// Asio's compiled part, for tests that link no module that brings it.
#include <boost/asio/impl/src.hpp>
