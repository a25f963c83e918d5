// SPDX-License-Identifier: Apache-2.0
#include "support/tree.h"

#include "base/error.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <sys/stat.h>
#include <vector>

namespace tmpdump::test {
namespace fs = std::filesystem;
namespace {

Node read_node(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) throw std::runtime_error("lstat " + path.string());
  Node node;
  if (S_ISLNK(status.st_mode)) {
    node.kind = Node::Kind::symlink;
    node.content = fs::read_symlink(path);
    return node;
  }
  node.mode = status.st_mode & 07777U;
  if (S_ISDIR(status.st_mode)) {
    node.kind = Node::Kind::directory;
    return node;
  }
  std::ifstream file(path, std::ios::binary);
  node.content.resize(static_cast<std::size_t>(status.st_size));
  file.read(node.content.data(), status.st_size);
  return node;
}

std::string what_differs(const Node& actual, const Node& expected) {
  if (actual.kind != expected.kind) return "is of another kind";
  if (actual.content.size() != expected.content.size())
    return "has " + std::to_string(actual.content.size()) + " bytes, not " +
           std::to_string(expected.content.size());
  if (actual.content != expected.content) return "has wrong bytes";
  return "has another mode";
}

class Report {
public:
  void add(const std::string& path, const std::string& what) {
    if (++count_ <= 5) text_ += "'" + printable(path) + "' " + what + "; ";
  }
  [[nodiscard]] std::string text() const {
    return count_ <= 5 ? text_ : text_ + "and " + std::to_string(count_ - 5) + " more";
  }

private:
  std::string text_;
  int count_ = 0;
};

} // namespace

Tree read_tree(const std::string& directory) {
  Tree tree;
  if (!fs::is_directory(directory)) return tree;
  fs::recursive_directory_iterator at(directory);
  for (; at != fs::recursive_directory_iterator(); ++at) {
    const std::string path = at->path().lexically_relative(directory);
    if (path == ".tmpdump") {
      at.disable_recursion_pending();
      continue;
    }
    tree[path] = read_node(at->path());
  }
  return tree;
}

Tree with_parents(Tree tree) {
  std::vector<std::string> parents;
  for (const auto& [path, node] : tree) {
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      parents.push_back(path.substr(0, slash));
  }
  for (const auto& parent : parents)
    tree.try_emplace(parent, Node{Node::Kind::directory, 0755, ""});
  return tree;
}

std::string difference(const Tree& actual, const Tree& expected) {
  Report report;
  for (const auto& [path, node] : expected) {
    const auto found = actual.find(path);
    if (found == actual.end()) {
      report.add(path, "is missing");
    } else if (found->second != node) {
      report.add(path, what_differs(found->second, node));
    }
  }
  for (const auto& [path, node] : actual) {
    if (!expected.contains(path)) report.add(path, "should not be there");
  }
  return report.text();
}

std::string damage(const Tree& actual, const Tree& expected) {
  Report report;
  for (const auto& [path, node] : actual) {
    const auto found = expected.find(path);
    if (found == expected.end()) {
      report.add(path, "should not be there");
    } else if (node.kind != found->second.kind || node.kind != Node::Kind::directory) {
      if (node != found->second) report.add(path, what_differs(node, found->second));
    }
  }
  return report.text();
}

} // namespace tmpdump::test
