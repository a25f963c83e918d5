// SPDX-License-Identifier: Apache-2.0
// A daemon for the tests of the C, Python and Java bindings: `manifest_daemon DEST` obeys lines on its
// standard input, answers each with "ok", and lives until the end of the input.
//   list NAME=NEEDED,NEEDED NAME ...   publish NAME   fail TEXT   ready
#include "support/destination_fixture.h"

#include <iostream>
#include <sstream>

using namespace tmpdump;

namespace {

struct Story {
  std::string destination;
  manifest::Writer writer;
  std::map<std::string, std::pair<std::uint32_t, std::string>> contents;

  void list(std::istream& names) {
    std::vector<manifest::ListedEntry> listing;
    for (std::string word; names >> word;) {
      const std::size_t equals = std::min(word.find('='), word.size());
      const std::string name = word.substr(0, equals);
      std::vector<std::string> needed;
      std::istringstream list(word.substr(std::min(equals + 1, word.size())));
      for (std::string one; std::getline(list, one, ',');)
        needed.push_back(one);
      const std::string content = test::library_that_needs(needed);
      contents[name] = {static_cast<std::uint32_t>(listing.size()), content};
      listing.push_back(
          {.path = name, .kind = zip::Kind::file, .mode = 0644, .size = content.size(), .crc = 0});
    }
    writer.set_listing("", listing).value();
  }

  void publish(const std::string& name) {
    const auto& [index, content] = contents.at(name);
    const std::filesystem::path file = destination + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    writer.publish(index).value();
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, rest;
    words >> verb >> std::ws;
    if (verb == "list") return list(words);
    std::getline(words, rest);
    if (verb == "publish") return publish(rest);
    if (verb == "fail") return writer.fail({Errc::bad_archive, rest});
    if (verb == "ready") return writer.ready().value();
    std::abort();
  }
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::filesystem::remove_all(argv[1]);
  std::filesystem::create_directories(argv[1]);
  Story story{argv[1], manifest::Writer::create(argv[1], "s3://b/k").value(), {}};
  std::cout << "ok" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    story.obey(line);
    std::cout << "ok" << std::endl;
  }
  return 0;
}
