// SPDX-License-Identifier: Apache-2.0
// Where the loader looks for a library that is asked for by its name alone: ld.so(8). Only as far as needed
// to tell whether the archive's file is the one that it will take.
#include "preload/shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>

TMPDUMP_FROM_OLDEST(dlclose);

// The caller's own search path and the folder that it lies in.
struct object {
  uintptr_t address;
  const char* runpath; // DT_RUNPATH, NULL: it has none
  const char* rpath;   // DT_RPATH, which counts where there is no DT_RUNPATH
  size_t origin_size;  // 0: unknown
  char origin[PATH_MAX];
};

static bool contains(const struct dl_phdr_info* info, uintptr_t address) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)* header = &info->dlpi_phdr[i];
    if (header->p_type == PT_LOAD && address - info->dlpi_addr - header->p_vaddr < header->p_memsz)
      return true;
  }
  return false;
}

static void read_dynamic(const struct dl_phdr_info* info, const ElfW(Dyn) * dynamic, struct object* object) {
  const char* strings = NULL;
  size_t runpath = 0, rpath = 0; // offset 0 of a string table is the empty string
  for (; dynamic->d_tag != DT_NULL; ++dynamic) {
    if (dynamic->d_tag == DT_STRTAB) {
      const ElfW(Addr) at = dynamic->d_un.d_ptr; // glibc relocates it where the section can be written
      // NOLINTNEXTLINE(performance-no-int-to-ptr): it is an integer in the file's format
      strings = (const char*)(at < info->dlpi_addr ? at + info->dlpi_addr : at);
    }
    if (dynamic->d_tag == DT_RUNPATH) runpath = dynamic->d_un.d_val;
    if (dynamic->d_tag == DT_RPATH) rpath = dynamic->d_un.d_val;
  }
  if (strings == NULL) return;
  if (runpath != 0) object->runpath = strings + runpath;
  if (rpath != 0 && runpath == 0) object->rpath = strings + rpath;
}

static int look_at(struct dl_phdr_info* info, size_t size, void* out) {
  (void)size;
  struct object* object = out;
  if (!contains(info, object->address)) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) {
      // NOLINTNEXTLINE(performance-no-int-to-ptr): as above
      read_dynamic(info, (const ElfW(Dyn)*)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), object);
    }
  }
  long length = 0;
  if (info->dlpi_name == NULL || info->dlpi_name[0] == '\0') { // the program itself
    length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", object->origin, PATH_MAX - 1);
  } else if (info->dlpi_name[0] == '/' && strlen(info->dlpi_name) < PATH_MAX) {
    length = (long)strlen(info->dlpi_name);
    memcpy(object->origin, info->dlpi_name, (size_t)length);
  }
  while (length > 0 && object->origin[length - 1] != '/')
    --length;
  object->origin_size = length > 0 ? (size_t)length - 1 : 0; // a program in the root directory has no RUNPATH
  return 1;
}

static void find_object(const void* caller, struct object* object) {
  object->address = (uintptr_t)caller;
  object->runpath = object->rpath = NULL;
  object->origin_size = 0;
  (void)dl_iterate_phdr(look_at, object);
}

// `element` of a search path as an absolute folder with room for a name behind it; its size, or 0.
static size_t expand(const struct object* object, const char* element, size_t size, char* folder) {
  static const char* const origins[] = {"$ORIGIN", "${ORIGIN}"};
  size_t at = 0;
  for (size_t i = 0; i < 2; ++i) {
    const size_t length = strlen(origins[i]);
    if (size < length || memcmp(element, origins[i], length) != 0 ||
        (size > length && element[length] != '/'))
      continue;
    if (object->origin_size == 0) return 0;
    memcpy(folder, object->origin, object->origin_size);
    at = object->origin_size;
    element += length;
    size -= length;
    break;
  }
  if (at == 0 && (size == 0 || element[0] != '/')) return 0; // of the current directory: not worth the call
  if (memchr(element, '$', size) != NULL || at + size >= PATH_MAX - 1) return 0;
  memcpy(folder + at, element, size);
  folder[at + size] = '\0';
  return at + size;
}

static bool exists(const char* path) {
  return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

enum verdict { GO_ON, OTHER, OURS };

// OURS: `found` is below the destination, and the archive holds it or may, as long as it is not listed.
static enum verdict look_along(const struct object* object, const char* path, const char* name, char* found) {
  const size_t name_size = strlen(name);
  for (const char* at = path; at != NULL && *at != '\0';) {
    const size_t element_size = strcspn(at, ":;");
    const size_t size = expand(object, at, element_size, found);
    at += element_size;
    if (*at != '\0') ++at;
    if (size == 0 || size + name_size + 2 > PATH_MAX) continue;
    found[size] = '/';
    memcpy(found + size + 1, name, name_size + 1);
    if (!tmpdump_shim_is_below(found)) {
      if (exists(found)) return OTHER;
      continue;
    }
    switch (tmpdump_client_holds(tmpdump_shim_client(), found)) {
    case TMPDUMP_NOT_IN_ARCHIVE:
      if (exists(found)) return OTHER;
      break;
    case TMPDUMP_NO_DAEMON:
      return OTHER;
    default:
      return OURS;
    }
  }
  return GO_ON;
}

static enum verdict look(const struct object* object, const char* name, char* found) {
  enum verdict verdict = look_along(object, object->rpath, name, found);
  if (verdict == GO_ON) verdict = look_along(object, tmpdump_shim_library_path(), name, found);
  if (verdict == GO_ON) verdict = look_along(object, object->runpath, name, found);
  return verdict;
}

// By its file's name, as the loader compares it first. Then the file's place does not matter.
static bool is_loaded(const char* name) {
  void* (*const load)(const char*, int) = (void* (*)(const char*, int))TMPDUMP_NEXT("dlopen");
  void* handle = load == NULL ? NULL : load(name, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == NULL) return false;
  (void)dlclose(handle);
  return true;
}

bool tmpdump_shim_search(const char* name, const void* caller, char* found) {
  struct object object;
  find_object(caller, &object);
  if (look(&object, name, found) != OURS || is_loaded(name)) return false;
  if (tmpdump_client_holds(tmpdump_shim_client(), found) == TMPDUMP_OK) return true;
  // Not listed yet. The wait ends when it is, at once if the archive does not hold this path; then the next
  // folders are looked through too.
  tmpdump_shim_wait(found, TMPDUMP_USE_NAME);
  return look(&object, name, found) == OURS;
}

bool tmpdump_shim_expand(const char* path, size_t size, const void* caller, char* expanded) {
  struct object object;
  find_object(caller, &object);
  return expand(&object, path, size, expanded) > 0;
}
