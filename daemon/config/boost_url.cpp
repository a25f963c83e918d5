// SPDX-License-Identifier: Apache-2.0
// The compiled part of Boost.URL. Its packaged library is one object without sections of its own, all of it
// or nothing: 190 KB more of program.
#include <boost/url/src.hpp>
