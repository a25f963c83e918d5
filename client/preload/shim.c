// SPDX-License-Identifier: Apache-2.0
// What to wait for, and what to say when it does not come.
#include "preload/shim.h"

#include "printable.h"
#include "settings.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

TMPDUMP_FROM_OLDEST(dlsym);
TMPDUMP_FROM_OLDEST(dlvsym);
TMPDUMP_FROM_OLDEST(dlerror);

enum phase { UNREAD, READING, OFF, ON };

static struct {
  int phase;
  int timeout_ms;
  uint64_t told; // generation and code of the last failure that was reported
  struct tmpdump_client client;
  const char* library_path;
  size_t destination_size; // without slashes at the end: 0 is the root directory
  char destination[PATH_MAX];
} shim;

struct tmpdump_client* tmpdump_shim_client(void) {
  return &shim.client;
}

const char* tmpdump_shim_library_path(void) {
  return shim.library_path;
}

// Programs that this one starts do without: takes this library out of LD_PRELOAD, in place.
static void leave_environment(void) {
  static const char own[] = "libtmpdump-preload.so";
  char* list = getenv("LD_PRELOAD");
  if (list == NULL) return;
  char* out = list;
  for (const char* at = list; *at != '\0';) {
    const char separator = *at;
    if (separator == ':' || separator == ' ') {
      ++at;
      continue;
    }
    const size_t size = strcspn(at, ": ");
    const char* name = at + size;
    while (name > at && name[-1] != '/')
      --name;
    if ((size_t)(at + size - name) != sizeof own - 1 || memcmp(name, own, sizeof own - 1) != 0) {
      if (out > list) *out++ = ':'; // there is room: a separator was read for each but the first
      memmove(out, at, size);
      out += size;
    }
    at += size;
  }
  *out = '\0';
  if (out == list) (void)unsetenv("LD_PRELOAD");
}

static const char* setting(const char* name, const char* otherwise) {
  const char* value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : otherwise;
}

// The exec wrapper has refused bad values; where it was not asked, they count as not given.
static int read_settings(void) {
  shim.library_path = setting("LD_LIBRARY_PATH", "");
  shim.timeout_ms = TMPDUMP_WAIT_TIMEOUT_DEFAULT_MS;
  (void)tmpdump_parse_timeout(setting("TMPDUMP_WAIT_TIMEOUT", ""), &shim.timeout_ms);
  const char* destination = setting("TMPDUMP_DEST", "/tmp");
  size_t size = strlen(destination);
  while (size > 0 && destination[size - 1] == '/')
    --size;
  if (size >= PATH_MAX || destination[0] != '/') return OFF;
  memcpy(shim.destination, destination, size);
  shim.destination_size = size;
  shim.client.destination = size == 0 ? "/" : shim.destination;
  if (strcmp(setting("TMPDUMP_PRELOAD_CHILDREN", "1"), "0") == 0) leave_environment();
  return strcmp(setting("TMPDUMP_WAIT", "lazy"), "none") == 0 ? OFF : ON;
}

static bool is_on(void) {
  int phase = __atomic_load_n(&shim.phase, __ATOMIC_ACQUIRE);
  if (__builtin_expect(phase == ON, 1)) return true;
  int unread = UNREAD;
  if (phase != UNREAD || !__atomic_compare_exchange_n(&shim.phase, &unread, READING, false, __ATOMIC_ACQ_REL,
                                                      __ATOMIC_ACQUIRE)) {
    return false;
  }
  const int saved = errno;
  phase = read_settings();
  errno = saved;
  __atomic_store_n(&shim.phase, phase, __ATOMIC_RELEASE);
  return phase == ON;
}

void* tmpdump_shim_next(struct tmpdump_next* next) {
  static char absent;
  void* function = __atomic_load_n(&next->function, __ATOMIC_ACQUIRE);
  if (__builtin_expect(function == NULL, 0)) {
    const int saved = errno;
    function = dlsym(RTLD_NEXT, next->name);
    // What glibc keeps for old programs alone (__xstat since 2.33) has no default version.
    if (function == NULL) function = dlvsym(RTLD_NEXT, next->name, TMPDUMP_OLDEST);
    if (function == NULL) {
      function = &absent;
      (void)dlerror(); // the program's own next dlerror() must not find ours
    }
    errno = saved;
    __atomic_store_n(&next->function, function, __ATOMIC_RELEASE);
  }
  return function == &absent ? NULL : function;
}

// Every TMPDUMP_NEXT of this library: the linker names the section's ends.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern struct tmpdump_next __start_tmpdump_next[] __attribute__((visibility("hidden")));
extern struct tmpdump_next __stop_tmpdump_next[] __attribute__((visibility("hidden")));
// NOLINTEND(bugprone-reserved-identifier)

// Other libraries' constructors may have come first.
__attribute__((constructor)) static void begin(void) {
  (void)is_on();
  for (struct tmpdump_next* next = __start_tmpdump_next; next < __stop_tmpdump_next; ++next)
    (void)tmpdump_shim_next(next);
}

static bool is_same_or_below(const char* path, const char* top, size_t top_size) {
  return strncmp(path, top, top_size) == 0 && (path[top_size] == '/' || path[top_size] == '\0');
}

// After symbolic links, once a manifest was found: Java loads by the real path.
static const struct tmpdump_attachment* with_other_name(void) {
  const struct tmpdump_attachment* current = __atomic_load_n(&shim.client.current, __ATOMIC_ACQUIRE);
  return current != NULL && current->real_size > 0 ? current : NULL;
}

bool tmpdump_shim_has_other_name(void) {
  return with_other_name() != NULL;
}

bool tmpdump_shim_is_below(const char* path) {
  if (is_same_or_below(path, shim.destination, shim.destination_size)) return true;
  const struct tmpdump_attachment* current = with_other_name();
  return current != NULL && is_same_or_below(path, current->real, current->real_size);
}

static bool is_near(const char* directory, const char* destination, size_t destination_size) {
  size_t size = strlen(directory);
  while (size > 0 && directory[size - 1] == '/')
    --size;
  return is_same_or_below(directory, destination, destination_size) ||
         (size < destination_size && memcmp(directory, destination, size) == 0 && destination[size] == '/');
}

bool tmpdump_shim_is_near(const char* directory) {
  if (is_near(directory, shim.destination, shim.destination_size)) return true;
  const struct tmpdump_attachment* current = with_other_name();
  return current != NULL && is_near(directory, current->real, current->real_size);
}

// What the JVM and AWS's runtime client make in /tmp for themselves while they start. No archive brings it,
// and a start that waited until this is known would be no start at the same time.
static bool is_made_by_runtime(const char* path) {
  static const char* const beginnings[] = {"hsperfdata_", ".java_pid", ".attach_pid", ".libaws-lambda-jni"};
  const char* name = path + shim.destination_size;
  if (*name != '/') return false; // by its real path: hsperfdata is not
  while (*name == '/')
    ++name;
  for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; ++i) {
    if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0) return true;
  }
  return false;
}

static size_t append(char* line, size_t at, size_t end, const char* text) {
  size_t left = strlen(text);
  while (left > 0 && at < end) {
    const size_t shown = tmpdump_printable_length(text, left);
    const size_t taken = shown == 0 ? 1 : shown;
    if (taken > end - at) break;
    line[at] = '?'; // a log line must not be forged
    memcpy(line + at, text, shown);
    at += taken;
    text += taken;
    left -= taken;
  }
  return at;
}

// Once for a failure, not for each of the names that a runtime tries.
static void tell(const char* path, int code) {
  const struct tmpdump_attachment* current = __atomic_load_n(&shim.client.current, __ATOMIC_ACQUIRE);
  const uint64_t generation = current == NULL ? 0 : tmpdump_peek64(&current->view.header->generation);
  const uint64_t failure = (generation << 8U) + (uint64_t)code;
  if (__atomic_exchange_n(&shim.told, failure, __ATOMIC_RELAXED) == failure) return;
  char reason[1025];
  char line[2048];
  const size_t end = sizeof line - 1;
  size_t size = append(line, 0, end, "tmpdump: '");
  size = append(line, size, 512, path);
  size = append(line, size, end, "' did not come: ");
  const bool has_reason =
      code == TMPDUMP_FAILED && tmpdump_client_reason(&shim.client, reason, sizeof reason) > 0;
  size = append(line, size, end, has_reason ? reason : tmpdump_strerror(code));
  line[size++] = '\n';
  (void)syscall(SYS_write, STDERR_FILENO, line, size);
}

// Before it is known what the archive holds a failure is told to who looks for a library, not to everybody
// who has to do with /tmp.
static bool looks_like_library(const char* path) {
  const char* name = strrchr(path, '/');
  return strstr(name == NULL ? path : name, ".so") != NULL;
}

void tmpdump_shim_wait(const char* path, enum tmpdump_use use) {
  if (is_made_by_runtime(path)) return;
  const int code = tmpdump_client_wait_use(&shim.client, path, use, shim.timeout_ms);
  switch (code) {
  case TMPDUMP_OK:
  case TMPDUMP_NOT_IN_ARCHIVE:
  case TMPDUMP_NO_DAEMON: // then there is nothing to wait for
  case TMPDUMP_INVALID:   // the call itself will say ENAMETOOLONG
    return;
  default:
    break;
  }
  const struct tmpdump_attachment* current = __atomic_load_n(&shim.client.current, __ATOMIC_ACQUIRE);
  if ((current != NULL && current->listed) || looks_like_library(path)) tell(path, code);
}

__attribute__((noinline)) static void await_slowly(int directory, const char* path, enum tmpdump_use use) {
  const int saved = errno;
  char full[PATH_MAX];
  if (path[0] == '/') {
    tmpdump_shim_wait(path, use);
  } else if (tmpdump_shim_absolute(directory, path, full) && tmpdump_shim_is_below(full)) {
    tmpdump_shim_wait(full, use);
  }
  errno = saved;
}

void tmpdump_shim_await(int directory, const char* path, enum tmpdump_use use) {
  if (path == NULL || path[0] == '\0' || !is_on()) return;
  if (path[0] == '/' && !tmpdump_shim_is_below(path)) return;
  await_slowly(directory, path, use);
}

void tmpdump_shim_await_load(const char* file, int mode, const void* caller) {
  // RTLD_NOLOAD asks for what is loaded: then it is there.
  if (file == NULL || file[0] == '\0' || (mode & RTLD_NOLOAD) != 0 || !is_on()) return;
  const int saved = errno;
  char path[PATH_MAX];
  if (file[0] == '$') {
    if (tmpdump_shim_expand(file, strlen(file), caller, path)) {
      tmpdump_shim_await(AT_FDCWD, path, TMPDUMP_USE_LOAD);
    }
  } else if (strchr(file, '/') != NULL) {
    tmpdump_shim_await(AT_FDCWD, file, TMPDUMP_USE_LOAD);
  } else if (tmpdump_shim_search(file, caller, path)) {
    tmpdump_shim_wait(path, TMPDUMP_USE_LOAD);
  }
  errno = saved;
}
