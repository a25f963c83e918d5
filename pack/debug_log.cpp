// SPDX-License-Identifier: Apache-2.0
// Seen with JavaCPP 1.5.11 (its Loader):
//   Debug: Loading class org.bytedeco.openblas.global.openblas
//   Debug: Extracting
//   jar:file:/m2/openblas-0.3.28-1.5.11-linux-x86_64.jar!/org/bytedeco/openblas/linux-x86_64/libopenblas.so.0
//   Debug: Loading /home/u/.javacpp/cache/…/libopenblas_nolapack.so.0
//   Debug: Failed to load /home/u/.javacpp/cache/…/libx.so: java.lang.UnsatisfiedLinkError: …
//   Debug: Loading library gfortran                (by System.loadLibrary: from java.library.path, or it
//   fails) Debug: Failed to load for gfortran@.4: java.lang.UnsatisfiedLinkError: … Debug: Creating symbolic
//   link …
// What is extracted right before a library is loaded is that library, whatever its name: one file serves both
// OpenBLAS.
#include "pack/debug_log.h"

#include "pack/item.h"
#include "pack/text.h"

#include <algorithm>
#include <optional>

namespace tmpdump::pack {

namespace {

// What follows `keyword` in the line, up to its end; nothing when the keyword is not there, or is part of a
// word.
std::optional<std::string_view> after(std::string_view line, std::string_view keyword) {
  const std::size_t at = line.find(keyword);
  if (at == std::string_view::npos || (at != 0 && line[at - 1] != ' ')) return std::nullopt;
  return line.substr(at + keyword.size());
}

// A digit's value; nothing for what is none.
std::optional<unsigned> hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return std::nullopt;
}

// "/my app/x.jar" of "/my%20app/x.jar". What is no escape stays as it is; so does %00, which is in no name.
std::string decoded(std::string_view url) {
  std::string out;
  for (std::size_t i = 0; i < url.size(); ++i) {
    const auto high = url[i] == '%' && i + 2 < url.size() ? hex(url[i + 1]) : std::nullopt;
    const auto low = high ? hex(url[i + 2]) : std::nullopt;
    if (!low || (*high == 0 && *low == 0)) {
      out.push_back(url[i]);
      continue;
    }
    out.push_back(static_cast<char>(*high << 4U | *low));
    i += 2;
  }
  return out;
}

void add_once(std::vector<std::string>& names, std::string name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
}

class Parser {
public:
  void line(std::string_view text) {
    if (const auto name = after(text, "Loading class ")) {
      class_ = *name;
    } else if (after(text, "Loading library ")) {
      extracted_.clear(); // by System.loadLibrary, from java.library.path: the system's, or a failure follows
    } else if (const auto path = after(text, "Loading ")) {
      loading(*path);
    } else if (const auto url = after(text, "Extracting ")) {
      extracting(*url);
    } else if (const auto failed = after(text, "Failed to load ")) {
      failure(*failed);
    }
  }
  DebugLog take() { return std::move(log_); }

private:
  void loading(std::string_view path) {
    if (!path.starts_with('/') || !named_like_a_library(path)) return;
    const std::string_view name = file_name(path);
    auto found = std::find_if(log_.libraries.begin(), log_.libraries.end(),
                              [&](const auto& l) { return l.name == name; });
    newest_.clear();
    if (found == log_.libraries.end()) {
      newest_ = name;
      log_.libraries.push_back({std::string(name), {}, {}, {}, false});
      found = log_.libraries.end() - 1;
    }
    if (!extracted_.empty() && extracted_ != name) found->source_name = extracted_;
    found->path = path;
    found->extracted = found->extracted || !extracted_.empty();
    if (!class_.empty() &&
        std::find(found->classes.begin(), found->classes.end(), class_) == found->classes.end())
      found->classes.push_back(class_);
    extracted_.clear();
  }

  void extracting(std::string_view url) {
    extracted_ = decoded(file_name(url));
    constexpr std::string_view file = "jar:file:";
    constexpr std::string_view nested = "jar:nested:"; // of Spring Boot, since 3.2
    const bool is_nested = url.starts_with(nested);
    if (!is_nested && !url.starts_with(file)) return;
    url.remove_prefix(is_nested ? nested.size() : file.size());
    const std::size_t end = url.find(is_nested ? "/!" : "!/");
    if (end == 0 || end == std::string_view::npos) return;
    const std::string jar = decoded(url.substr(0, end));
    const std::string_view below = url.substr(end + 2);
    const std::size_t inner_end = below.find("!/");
    if (inner_end != std::string_view::npos) {
      add_once(log_.nested_jars, jar + "!" + decoded(below.substr(0, inner_end)));
    } else if (!is_nested) {
      add_once(log_.jars, jar);
    }
  }

  // "/path/libx.so: java.lang.UnsatisfiedLinkError: …": it counts only if another attempt was good.
  void failure(std::string_view what) {
    if (newest_.empty() || !what.starts_with('/')) return;
    if (file_name(what.substr(0, what.find(": "))) == newest_) log_.libraries.pop_back();
    newest_.clear();
  }

  DebugLog log_;
  std::string class_;
  std::string extracted_; // file name of what was extracted, and not loaded yet
  std::string newest_;    // the library that the line before added
};

} // namespace

DebugLog parse_debug_log(std::string_view text) {
  Parser parser;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    parser.line(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parser.take();
}

} // namespace tmpdump::pack
