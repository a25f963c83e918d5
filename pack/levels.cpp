// SPDX-License-Identifier: Apache-2.0
#include "pack/levels.h"

#include "pack/text.h"

namespace tmpdump::pack {

std::string_view level_of(std::string_view path) {
  const auto variant = zip::variant_of(path);
  return variant && !variant->path.empty() ? name(variant->level) : std::string_view();
}

std::string published_path(const std::string& path) {
  auto variant = zip::variant_of(path);
  return variant && !variant->path.empty() ? std::move(variant->path) : path;
}

result<void> check_link(const std::string& path, std::string_view target) {
  zip::Entry published;
  published.path = published_path(path);
  const auto good = zip::check_symlink_target(published, target);
  if (good || published.path == path) return good;
  return good.error().within("entry " + quote(path) + ", published as " + quote(published.path));
}

result<void> check_level(const zip::Directory& directory, CpuLevel level) {
  const auto chosen = zip::choose_variants(directory, level);
  if (chosen) return {};
  return chosen.error().within("on a processor of level " + std::string(name(level)));
}

} // namespace tmpdump::pack
