// SPDX-License-Identifier: Apache-2.0
// The public calls.
#include "internal.h"
#include "printable.h"

#include <errno.h>

static struct tmpdump_client process_client;

int tmpdump_client_wait(struct tmpdump_client* client, int timeout_ms) {
  struct tmpdump_deadline deadline = {.timeout_ms = timeout_ms};
  const struct tmpdump_attachment* attachment = NULL;
  int code = TMPDUMP_OK;
  do {
    code = tmpdump_attach(client, attachment, &attachment);
    if (code == TMPDUMP_OK) code = tmpdump_wait_ready(attachment, &deadline);
  } while (code == TMPDUMP_AGAIN);
  return code;
}

static bool is_ours(const char* destination, const char* path, size_t size) {
  size_t destination_size = strlen(destination);
  while (destination_size > 1 && destination[destination_size - 1] == '/')
    --destination_size;
  return tmpdump_is_below(destination, destination_size, &path, &size);
}

int tmpdump_client_wait_file(struct tmpdump_client* client, const char* path, int timeout_ms) {
  return tmpdump_client_wait_use(client, path, TMPDUMP_USE_LOAD, timeout_ms);
}

int tmpdump_client_holds(struct tmpdump_client* client, const char* path) {
  const struct tmpdump_attachment* attachment = NULL;
  const int code = tmpdump_attach(client, NULL, &attachment);
  if (code != TMPDUMP_OK) return code;
  if (!attachment->listed) return TMPDUMP_TIMEOUT;
  char clean[PATH_MAX];
  size_t clean_size = 0;
  const uint32_t entry = tmpdump_find_path(attachment, path, strnlen(path, PATH_MAX), clean, &clean_size);
  return entry == UINT32_MAX ? TMPDUMP_NOT_IN_ARCHIVE : TMPDUMP_OK;
}

int tmpdump_client_wait_use(struct tmpdump_client* client, const char* path, enum tmpdump_use use,
                            int timeout_ms) {
  if (path == NULL || path[0] == '\0') return TMPDUMP_INVALID;
  const size_t size = strnlen(path, PATH_MAX);
  if (size >= PATH_MAX) return TMPDUMP_INVALID;
  struct tmpdump_deadline deadline = {.timeout_ms = timeout_ms};
  const struct tmpdump_attachment* attachment = NULL;
  int code = TMPDUMP_OK;
  do {
    code = tmpdump_attach(client, attachment, &attachment);
    if (code != TMPDUMP_OK) {
      // A program that asks for each library it loads must not hear of the daemon for those of the system.
      return is_ours(tmpdump_client_destination(client), path, size) ? code : TMPDUMP_NOT_IN_ARCHIVE;
    }
    if (attachment->listed) {
      code = tmpdump_wait_use(attachment, path, size, use, &deadline);
      continue;
    }
    const char* relative = path;
    size_t relative_size = size;
    // The destination itself is not below: who lists all of /tmp that early is looking for files of its own.
    if (!tmpdump_is_below(attachment->destination, attachment->destination_size, &relative, &relative_size) &&
        !tmpdump_is_below(attachment->real, attachment->real_size, &relative, &relative_size)) {
      return TMPDUMP_NOT_IN_ARCHIVE;
    }
    code = tmpdump_wait_listed(attachment, &deadline);
  } while (code == TMPDUMP_AGAIN);
  return code;
}

// As it is now, or as it was when we attached where somebody has removed the file since.
static int fetch_header(struct tmpdump_client* client, const struct tmpdump_attachment** attachment,
                        struct tmpdump_manifest_header* header) {
  int code = TMPDUMP_OK;
  do {
    code = tmpdump_attach(client, code == TMPDUMP_AGAIN ? *attachment : NULL, attachment);
    if (code != TMPDUMP_OK) return code; // NO_DAEMON: a later generation took its place, and went too
    code = tmpdump_fetch(*attachment, (*attachment)->copy, header, sizeof *header);
    if (code == TMPDUMP_NO_DAEMON) {
      memcpy(header, (*attachment)->copy, sizeof *header);
      code = tmpdump_look(*attachment, &(*attachment)->view.header->state, header->state, &header->state);
    }
    if (code == TMPDUMP_OK && header->state == TMPDUMP_STATE_SUPERSEDED) code = TMPDUMP_AGAIN;
  } while (code == TMPDUMP_AGAIN);
  return code;
}

int tmpdump_client_status(struct tmpdump_client* client, struct tmpdump_report* out) {
  if (out == NULL || out->size < sizeof out->size) return TMPDUMP_INVALID;
  struct tmpdump_report report = {.size = out->size};
  const struct tmpdump_attachment* attachment = NULL;
  struct tmpdump_manifest_header header;
  const int code = fetch_header(client, &attachment, &header);
  if (code == TMPDUMP_OK) {
    report.state = header.state;
    report.daemon_alive = tmpdump_liveness(attachment) == TMPDUMP_ALIVE;
    if (report.state == TMPDUMP_STATE_FAILED) report.failure_code = header.failure_code;
    report.pid = header.pid;
    report.generation = header.generation;
    report.started_ns = header.started_ns;
    report.listed_ns = header.listed_ns;
    report.finished_ns = header.finished_ns;
    report.files_total = header.counters[TMPDUMP_COUNTER_FILES_TOTAL];
    report.files_published = header.counters[TMPDUMP_COUNTER_FILES_PUBLISHED];
    report.files_kept = header.counters[TMPDUMP_COUNTER_FILES_KEPT];
    report.bytes_total = header.counters[TMPDUMP_COUNTER_BYTES_TOTAL];
    report.bytes_published = header.counters[TMPDUMP_COUNTER_BYTES_PUBLISHED];
    report.bytes_received = header.counters[TMPDUMP_COUNTER_BYTES_RECEIVED];
    report.requests = header.counters[TMPDUMP_COUNTER_REQUESTS];
    report.retries = header.counters[TMPDUMP_COUNTER_RETRIES];
    report.hedges = header.counters[TMPDUMP_COUNTER_HEDGES];
  }
  const size_t known = out->size < sizeof report ? out->size : sizeof report;
  memcpy(out, &report, known);
  memset((char*)out + known, 0, out->size - known); // fields of a newer header than this library's
  return code;
}

size_t tmpdump_client_reason(struct tmpdump_client* client, char* buffer, size_t size) {
  const struct tmpdump_attachment* attachment = NULL;
  struct tmpdump_manifest_header header;
  size_t length = 0;
  if (fetch_header(client, &attachment, &header) == TMPDUMP_OK && header.state == TMPDUMP_STATE_FAILED) {
    length = header.reason_size < sizeof header.reason ? header.reason_size : sizeof header.reason;
  }
  if (buffer == NULL || size == 0) return length;
  const size_t copied = length < size ? length : size - 1;
  for (size_t i = 0; i < copied;) {
    const size_t shown = tmpdump_printable_length(header.reason + i, copied - i);
    buffer[i] = '?'; // a log line must not be forged
    memcpy(buffer + i, header.reason + i, shown);
    i += shown == 0 ? 1 : shown;
  }
  buffer[copied] = '\0';
  return length;
}

// errno belongs to the caller, which may be in the middle of dlopen.
static int keep_errno(int code, int saved) {
  if (code != TMPDUMP_SYSTEM) errno = saved;
  return code;
}

int tmpdump_wait(int timeout_ms) {
  const int saved = errno;
  return keep_errno(tmpdump_client_wait(&process_client, timeout_ms), saved);
}

int tmpdump_wait_file(const char* path, int timeout_ms) {
  const int saved = errno;
  return keep_errno(tmpdump_client_wait_file(&process_client, path, timeout_ms), saved);
}

int tmpdump_status(struct tmpdump_report* out) {
  const int saved = errno;
  return keep_errno(tmpdump_client_status(&process_client, out), saved);
}

size_t tmpdump_reason(char* buffer, size_t size) {
  const int saved = errno;
  const size_t length = tmpdump_client_reason(&process_client, buffer, size);
  errno = saved;
  return length;
}

const char* tmpdump_strerror(int code) {
  switch (code) {
  case TMPDUMP_OK:
    return "ready";
  case TMPDUMP_NOT_IN_ARCHIVE:
    return "the archive holds no such file";
  case TMPDUMP_TIMEOUT:
    return "the time limit passed before it was ready";
  case TMPDUMP_NO_DAEMON:
    return "no tmpdump was started for this destination (is the layer attached, is TMPDUMP_DEST the same?)";
  case TMPDUMP_DAEMON_DIED:
    return "tmpdump ended before it was ready (see its log for the reason)";
  case TMPDUMP_FAILED:
    return "tmpdump failed (tmpdump_reason() tells why)";
  case TMPDUMP_BAD_MANIFEST:
    return "the manifest is damaged (remove .tmpdump from the destination)";
  case TMPDUMP_UNTRUSTED:
    return "the manifest or its directory belongs to, or is writable by, somebody else "
           "(wait as the daemon's user, or remove .tmpdump from the destination)";
  case TMPDUMP_VERSION:
    return "the manifest is of another version (update libtmpdump or the layer)";
  case TMPDUMP_INVALID:
    return "an argument is missing or too long";
  case TMPDUMP_SYSTEM:
    return "a system call failed (errno tells which way)";
  default:
    return "not a code of tmpdump";
  }
}
