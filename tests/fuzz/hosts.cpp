// SPDX-License-Identifier: Apache-2.0
// Hosts files, by a plain reading of hosts(5). The input is a name, and after a line's end the file.
#include "base/unique_fd.h"
#include "fuzz.h"
#include "net/hosts_file.h"

#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

using namespace tmpdump;
using namespace tmpdump::fuzz;

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

net::Addresses plain_reading(const std::string& text, const std::string& name) {
  net::Addresses all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string word;
    words >> word;
    boost::system::error_code bad;
    const auto address = boost::asio::ip::make_address(word, bad);
    while (!bad && words >> word) {
      if (lower(word) == name && std::find(all.begin(), all.end(), address) == all.end())
        all.push_back(address);
    }
  }
  return all;
}

} // namespace

FUZZ_TARGET(hosts) {
  const auto given = text_of(input.rest());
  const auto end = std::min(given.find('\n'), given.size());
  const std::string name = lower(std::string(given.substr(0, end)));
  const std::string text(given.substr(std::min(end + 1, given.size())));
  const auto found = net::find_in_hosts(text, name);
  require(found == plain_reading(text, name), "its lines say so");

  static const UniqueFd fd(::memfd_create("hosts", MFD_CLOEXEC));
  static const std::string file = "/proc/self/fd/" + std::to_string(fd.get());
  require(::ftruncate(fd.get(), 0) == 0, "memfd");
  require(::pwrite(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()), "memfd");
  require(net::look_up_hosts_file(file, name) == found, "a file and its text say the same");
}
