// SPDX-License-Identifier: Apache-2.0
// A daemon for the tests of the C, Python and Java bindings: `manifest_daemon DEST` obeys lines on its
// standard input, answers each with "ok", and lives until the end of the input.
//   list NAME=NEEDED,NEEDED NAME ...   publish NAME   fail TEXT   fail-as CODE TEXT   ready   restart
//   count COUNTER NUMBER
// A name that ends in '/' is a directory, NAME@TARGET a symbolic link, NAME<PATH has that file's content.
#include "support/destination_fixture.h"

#include <iostream>
#include <sstream>

using namespace tmpdump;

namespace {

struct Story {
  std::string destination;
  manifest::Writer writer;
  std::map<std::string, std::pair<std::uint32_t, std::string>> contents;
  std::vector<manifest::ListedEntry> listing;

  void add(const std::string& name, zip::Kind kind, const std::string& content) {
    contents[name] = {static_cast<std::uint32_t>(listing.size()), content};
    listing.push_back({.path = name, .kind = kind, .mode = 0644, .size = content.size(), .crc = 0});
  }

  void list(std::istream& names) {
    listing.clear();
    for (std::string word; names >> word;) {
      if (word.ends_with('/')) {
        add(word.substr(0, word.size() - 1), zip::Kind::directory, "");
        continue;
      }
      if (const std::size_t at = word.find('@'); at != std::string::npos) {
        add(word.substr(0, at), zip::Kind::symlink, word.substr(at + 1));
        continue;
      }
      if (const std::size_t from = word.find('<'); from != std::string::npos) {
        std::ifstream file(word.substr(from + 1), std::ios::binary);
        if (!file) std::abort();
        add(word.substr(0, from), zip::Kind::file, {std::istreambuf_iterator<char>(file), {}});
        continue;
      }
      const std::size_t equals = std::min(word.find('='), word.size());
      const std::string name = word.substr(0, equals);
      std::vector<std::string> needed;
      std::istringstream list(word.substr(std::min(equals + 1, word.size())));
      for (std::string one; std::getline(list, one, ',');)
        needed.push_back(one);
      add(name, zip::Kind::file, test::library_that_needs(needed));
    }
    writer.set_listing("", listing).value();
  }

  void publish(const std::string& name) {
    const auto& [index, content] = contents.at(name);
    const std::filesystem::path file = destination + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    if (listing[index].kind == zip::Kind::directory) {
      std::filesystem::create_directories(file);
    } else if (listing[index].kind == zip::Kind::symlink) {
      std::filesystem::create_symlink(content, file);
    } else {
      std::ofstream(file, std::ios::binary) << content;
    }
    writer.publish(index).value();
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, rest;
    words >> verb >> std::ws;
    if (verb == "list") return list(words);
    if (int code = 0; verb == "fail-as" && words >> code >> std::ws) {
      std::getline(words, rest);
      return writer.fail({static_cast<Errc>(code), rest});
    }
    if (int counter = 0; verb == "count" && words >> counter) {
      std::uint64_t more = 0;
      words >> more;
      return writer.count(static_cast<tmpdump_manifest_counter>(counter), more);
    }
    std::getline(words, rest);
    if (verb == "publish") return publish(rest);
    if (verb == "fail") return writer.fail({Errc::bad_archive, rest});
    if (verb == "ready") return writer.ready().value();
    if (verb == "restart") return writer.restart().value();
    std::abort();
  }
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::filesystem::remove_all(argv[1]);
  std::filesystem::create_directories(argv[1]);
  Story story{argv[1], manifest::Writer::create(argv[1], "s3://b/k").value(), {}, {}};
  std::cout << "ok" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    story.obey(line);
    std::cout << "ok" << std::endl;
  }
  return 0;
}
