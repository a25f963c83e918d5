// SPDX-License-Identifier: Apache-2.0
// Runs a program and lets one of its system calls fail: `injector CALL NTH WHAT REPORT PROGRAM ARGV0
// [ARGUMENT]...`
//   CALL    names of the table below, with commas between them, "all" of them, or "rest": what is not in it,
//           which is only counted
//   NTH     counts from 1 over all threads and children; 0: none, only count
//   WHAT    an errno's number, with "+" behind it for this one and all that follow; "short" (half of what was
//           to be written); "kill" (SIGKILL instead of it); or "hold": this one and all that follow last for
//           good; a line "injector: holds CALL" says so
//   REPORT  file that says how often each call came, a "NAME COUNT" a line; written when the program has
//   ended
// The environment's INJECTOR_SPARES has files' names, or beginnings of them, with commas between them: what
// code of theirs calls neither fails nor counts. So a sanitizer's runtime, or the loader, is no part of the
// program.
// The kernel asks this process before each such call (seccomp's user notification), so that the program is
// the one that is released: static, and with its own threads.
#define _GNU_SOURCE // NOLINT(bugprone-reserved-identifier): the libc's
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { wait_op = 1, shared_wake, look_op }; // of futex(2)

static const struct call {
  const char* name;
  int number;
  int futex; // which of its operations, 0: not a futex
} calls[] = {
    {"openat", SYS_openat, 0},
    {"openat2", SYS_openat2, 0},
    {"mkdirat", SYS_mkdirat, 0},
    {"renameat", SYS_renameat2, 0},
    {"linkat", SYS_linkat, 0},
    {"symlinkat", SYS_symlinkat, 0},
    {"unlinkat", SYS_unlinkat, 0},
    {"fchmod", SYS_fchmod, 0},
    {"fstat", SYS_newfstatat, 0},
    {"fstatfs", SYS_fstatfs, 0},
    {"fallocate", SYS_fallocate, 0},
    {"ftruncate", SYS_ftruncate, 0},
    {"getdents", SYS_getdents64, 0},
    {"readlink", SYS_readlinkat, 0},
    {"access", SYS_faccessat, 0},
    {"read", SYS_read, 0},
    {"pread", SYS_pread64, 0},
    {"write", SYS_write, 0},
    {"pwrite", SYS_pwrite64, 0},
    {"close", SYS_close, 0},
    {"fcntl", SYS_fcntl, 0},
    {"flock", SYS_flock, 0},
    {"mmap", SYS_mmap, 0},
    {"brk", SYS_brk, 0},
    {"mprotect", SYS_mprotect, 0},
    {"munmap", SYS_munmap, 0},
    {"madvise", SYS_madvise, 0},
    {"clone", SYS_clone3, 0},
    {"clone", SYS_clone, 0},
    // A sleep may end early. That the kernel should refuse to wake within a process cannot happen; that it
    // cannot look up a word in a file (ENOMEM, EFAULT) can.
    {"futex-wait", SYS_futex, wait_op},
    {"futex-wake", SYS_futex, shared_wake},
    {"futex-look", SYS_futex, look_op}, // as libtmpdump reads a word
    {"socket", SYS_socket, 0},
    {"connect", SYS_connect, 0},
    {"setsockopt", SYS_setsockopt, 0},
    {"getsockopt", SYS_getsockopt, 0},
    {"getpeername", SYS_getpeername, 0},
    {"ioctl", SYS_ioctl, 0},
    {"sendmsg", SYS_sendmsg, 0},
    {"sendto", SYS_sendto, 0},
    {"recvmsg", SYS_recvmsg, 0},
    {"recvfrom", SYS_recvfrom, 0},
    {"readv", SYS_readv, 0},
    {"writev", SYS_writev, 0},
    {"epoll_create", SYS_epoll_create1, 0},
    {"epoll_ctl", SYS_epoll_ctl, 0},
    {"epoll_wait", SYS_epoll_pwait, 0},
    {"eventfd", SYS_eventfd2, 0},
    {"timerfd", SYS_timerfd_create, 0},
    {"timerfd_settime", SYS_timerfd_settime, 0},
    {"pipe", SYS_pipe2, 0},
    {"getrandom", SYS_getrandom, 0},
    {"ppoll", SYS_ppoll, 0},
    {"prctl", SYS_prctl, 0},
    {"prlimit", SYS_prlimit64, 0},
    {"sched_getaffinity", SYS_sched_getaffinity, 0},
#ifdef SYS_open // architectures older than the calls with "at"
    {"openat", SYS_open, 0},
    {"mkdirat", SYS_mkdir, 0},
    {"renameat", SYS_rename, 0},
    {"renameat", SYS_renameat, 0},
    {"unlinkat", SYS_unlink, 0},
    {"fstat", SYS_fstat, 0},
    {"readlink", SYS_readlink, 0},
    {"access", SYS_access, 0},
    {"epoll_wait", SYS_epoll_wait, 0},
    {"ppoll", SYS_poll, 0},
#endif
};
enum { call_count = sizeof calls / sizeof *calls };

// What "rest" counts has these names; whatever else there may be is "call-NUMBER".
static const struct {
  const char* name;
  int number;
} rest[] = {
    {"epoll_change", SYS_epoll_ctl}, // of these, what the table does not mean
    {"brk_query", SYS_brk},
    {"fcntl_rest", SYS_fcntl},
    {"futex_rest", SYS_futex},
    {"lseek", SYS_lseek},
    {"rt_sigaction", SYS_rt_sigaction},
    {"rt_sigprocmask", SYS_rt_sigprocmask},
    {"rt_sigreturn", SYS_rt_sigreturn},
    {"setitimer", SYS_setitimer},
    {"getpid", SYS_getpid},
    {"geteuid", SYS_geteuid},
    {"sysinfo", SYS_sysinfo},
    {"set_tid_address", SYS_set_tid_address},
    {"set_robust_list", SYS_set_robust_list},
    {"rseq", SYS_rseq},
    {"execve", SYS_execve},
    {"exit", SYS_exit},
    {"exit_group", SYS_exit_group},
#ifdef SYS_arch_prctl
    {"arch_prctl", SYS_arch_prctl},
#endif
};
enum { rest_count = sizeof rest / sizeof *rest, most_numbers = 1024 };

static unsigned long seen[call_count];
static unsigned long rest_seen[most_numbers];

static void die(const char* what) {
  (void)fprintf(stderr, "injector: %s: %s\n", what, strerror(errno));
  exit(125);
}

static int is_wanted(const struct call* call, const char* names) {
  if (strcmp(names, "all") == 0) return 1;
  const size_t size = strlen(call->name);
  for (const char* at = names; at != NULL; at = strchr(at, ',')) {
    at += *at == ',';
    if (strncmp(at, call->name, size) == 0 && (at[size] == ',' || at[size] == '\0')) return 1;
  }
  return 0;
}

static int is_rest(const char* name) {
  return strcmp(name, "rest") == 0;
}

// Only the calls that are asked for stop; the others cost what they always cost.
static int install_filter(const char* name) {
  struct sock_filter filter[2 * call_count + 2];
  unsigned short size = 0;
  filter[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < call_count; ++i) {
    if (!is_wanted(&calls[i], name)) continue;
    filter[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, 0, 1);
    filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  }
  filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                                is_rest(name) ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
  struct sock_fprog program = {.len = size, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static const struct call* find_call(const struct seccomp_data* data) {
  for (size_t i = 0; i < call_count; ++i) {
    if (calls[i].number != data->nr) continue;
    // Only adding takes memory; a change does not fail (ep_modify() in fs/eventpoll.c), and Asio, which wakes
    // its thread by one, rightly does not look.
    if (data->nr == SYS_epoll_ctl && (int)data->args[1] != EPOLL_CTL_ADD) return NULL;
    // Only a lock may have to be waited for, or find no room; flags are read and set at once.
    if (data->nr == SYS_fcntl && (int)data->args[1] != F_OFD_SETLK && (int)data->args[1] != F_OFD_GETLK)
      return NULL;
    // Where it ends is no request.
    if (data->nr == SYS_brk && data->args[0] == 0) return NULL;
    if (calls[i].futex == 0) return &calls[i];
    const int operation = (int)data->args[1] & FUTEX_CMD_MASK;
    const int is_wait = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
    const int is_shared_wake = operation == FUTEX_WAKE && ((int)data->args[1] & FUTEX_PRIVATE_FLAG) == 0;
    const int is_look = operation == FUTEX_CMP_REQUEUE;
    if ((calls[i].futex == wait_op && is_wait) || (calls[i].futex == shared_wake && is_shared_wake) ||
        (calls[i].futex == look_op && is_look))
      return &calls[i];
  }
  return NULL;
}

static struct range {
  unsigned long long begin, end;
  int is_spared;
} code[256];
static size_t code_size;

static const struct range* find_code(unsigned long long address) {
  for (size_t i = 0; i < code_size; ++i) {
    if (address >= code[i].begin && address < code[i].end) return &code[i];
  }
  return NULL;
}

static int is_named(const char* path, const char* names) {
  const char* const slash = strrchr(path, '/');
  const char* const file = slash == NULL ? path : slash + 1;
  for (const char* at = names; at != NULL; at = strchr(at, ',')) {
    at += *at == ',';
    const size_t size = strcspn(at, ",");
    if (size > 0 && strncmp(file, at, size) == 0) return 1;
  }
  return 0;
}

// Once the program is not dumpable this may be refused; all of its code was there and known before.
static void read_code(pid_t thread, const char* names) {
  char line[4096];
  (void)snprintf(line, sizeof line, "/proc/%d/maps", (int)thread);
  FILE* const maps = fopen(line, "re");
  if (maps == NULL) return;
  code_size = 0;
  while (code_size < sizeof code / sizeof *code && fgets(line, sizeof line, maps) != NULL) {
    char* at = line;
    struct range range = {0};
    range.begin = strtoull(at, &at, 16);
    range.end = strtoull(at + 1, &at, 16);
    const int is_code = strlen(at) > 3 && at[3] == 'x'; // " r-xp"
    range.is_spared = is_named(at, names);
    if (is_code) code[code_size++] = range;
  }
  (void)fclose(maps);
}

// Of the call's own instruction: the program's calls are made by the C library, a runtime makes its own.
static int is_spared(const struct seccomp_notif* asked) {
  const char* const names = getenv("INJECTOR_SPARES"); // NOLINT(concurrency-mt-unsafe): one thread
  if (names == NULL) return 0;
  const struct range* range = find_code(asked->data.instruction_pointer);
  if (range == NULL) {
    read_code((pid_t)asked->pid, names);
    range = find_code(asked->data.instruction_pointer);
  }
  return range != NULL && range->is_spared;
}

struct plan {
  const char* call;
  unsigned long nth;
  const char* what;
  pid_t program;
};

// Does half of a write in the program's place, in its own open file, whose offset may count. -1: it cannot be
// halved.
static long half(const struct seccomp_notif* asked, pid_t program) {
  const int is_pwrite = asked->data.nr == SYS_pwrite64;
  const size_t size = asked->data.args[2] / 2;
  if (size == 0 || (!is_pwrite && asked->data.nr != SYS_write)) return -1;
  char* bytes = malloc(size);
  const struct iovec here = {bytes, size};
  const struct iovec there = {(void*)asked->data.args[1], size}; // NOLINT(performance-no-int-to-ptr)
  long done = -1;
  // Of the program, not of the thread that asks: a thread has no pidfd on older kernels.
  const int handle = (int)syscall(SYS_pidfd_open, program, 0);
  const int target = handle < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, handle, (int)asked->data.args[0], 0);

  if (target >= 0 && process_vm_readv((pid_t)asked->pid, &here, 1, &there, 1, 0) == (ssize_t)size) {
    done = is_pwrite ? pwrite(target, bytes, size, (off_t)asked->data.args[3]) : write(target, bytes, size);
  }
  if (target >= 0) close(target);
  if (handle >= 0) close(handle);
  free(bytes);
  return done;
}

// Where the program's heap ends. It begins where the kernel says, then is where the program last asked for,
// as all that is let through does what it is asked. Not known at its first call, when it is not secret yet:
// 0.
static unsigned long long heap_end;

static unsigned long long begin_of_heap(pid_t program) {
  char text[2048];
  (void)snprintf(text, sizeof text, "/proc/%d/stat", (int)program);
  FILE* const file = fopen(text, "re");
  if (file == NULL) return 0;
  const size_t size = fread(text, 1, sizeof text - 1, file);
  (void)fclose(file);
  text[size] = '\0';
  const char* at = strrchr(text, ')'); // its name may have spaces; the 47th field is start_brk
  for (int field = 2; at != NULL && field < 47; ++field)
    at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtoull(at, NULL, 10);
}

static void answer(int listener, const struct seccomp_notif* asked, const struct plan* plan) {
  static unsigned long came; // of the calls that the plan names
  struct seccomp_notif_resp response = {.id = asked->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  const int is_brk = asked->data.nr == SYS_brk;
  if (is_brk && heap_end == 0) heap_end = begin_of_heap(plan->program);
  const int is_counted = !is_spared(asked);
  const struct call* call = is_counted ? find_call(&asked->data) : NULL;
  if (is_counted && call == NULL && asked->data.nr >= 0 && asked->data.nr < most_numbers)
    ++rest_seen[asked->data.nr];
  if (call != NULL) {
    ++seen[call - calls];
    const int is_hold = strcmp(plan->what, "hold") == 0; // who is interrupted by a signal asks again
    const int lasts = is_hold || plan->what[strlen(plan->what) - 1] == '+';
    if (is_wanted(call, plan->call) &&
        (++came == plan->nth || (lasts && plan->nth > 0 && came > plan->nth))) {
      if (strcmp(plan->what, "kill") == 0) {
        kill(plan->program, SIGKILL);
        return; // never answered: the call does not happen
      }
      if (is_hold) {
        (void)fprintf(stderr, "injector: holds %s\n", call->name);
        return;
      }
      const int is_short = strcmp(plan->what, "short") == 0;
      const long done = is_short ? half(asked, plan->program) : -1;
      if (!is_short || done >= 0) {
        response.flags = 0;
        response.val = is_short ? done : 0;
        response.error = is_short ? 0 : -(int)strtol(plan->what, NULL, 10);
        if (is_brk) { // it refuses by saying where the heap ends all the same
          response.error = 0;
          response.val = (long long)heap_end;
        }
      }
    }
  }
  if (is_brk && response.flags != 0 && asked->data.args[0] != 0) heap_end = asked->data.args[0];
  // ENOENT: the program was killed meanwhile.
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0 && errno != ENOENT) die("answer");
}

// Whoever ends us means the program.
static pid_t forward_to;
static void forward(int signal_number) {
  kill(forward_to, signal_number);
}

static void serve(int listener, const struct plan* plan) {
  struct seccomp_notif_sizes sizes;
  if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) die("sizes");
  struct seccomp_notif* asked = malloc(sizes.seccomp_notif);
  for (;;) {
    struct pollfd ready = {listener, POLLIN, 0};
    if (poll(&ready, 1, -1) < 0) {
      if (errno == EINTR) continue;
      die("poll");
    }
    if ((ready.revents & POLLIN) == 0) break; // nobody is left who could ask
    memset(asked, 0, sizes.seccomp_notif);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, asked) != 0) {
      if (errno == ENOENT || errno == EINTR) continue;
      die("receive");
    }
    answer(listener, asked, plan);
  }
  free(asked);
}

static void report_rest(FILE* out) {
  for (int number = 0; number < most_numbers; ++number) {
    if (rest_seen[number] == 0) continue;
    const char* name = NULL;
    for (size_t i = 0; i < rest_count && name == NULL; ++i) {
      if (rest[i].number == number) name = rest[i].name;
    }
    if (name == NULL) {
      (void)fprintf(out, "call-%d %lu\n", number, rest_seen[number]);
    } else {
      (void)fprintf(out, "%s %lu\n", name, rest_seen[number]);
    }
  }
}

static void report(const char* file, int with_rest) {
  FILE* out = fopen(file, "w");
  if (out == NULL) die(file);
  if (with_rest) report_rest(out);
  for (size_t i = 0; i < call_count; ++i) {
    if (seen[i] > 0) (void)fprintf(out, "%s %lu\n", calls[i].name, seen[i]);
  }
  if (fclose(out) != 0) die(file);
}

struct start {
  int listener; // the child's descriptor, -1 before it has one, -2: it gets none
  const char* call;
};

int main(int argc, char** argv) {
  if (argc < 7) {
    (void)fputs("usage: injector CALL NTH ERRNO[+]|short|kill|hold REPORT PROGRAM ARGV0 [ARGUMENT]...\n",
                stderr);
    return 2;
  }
  struct start* start = mmap(NULL, sizeof *start, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) die("mmap");
  start->listener = -1;
  const pid_t parent = getpid();
  // One table of descriptors until the child execs: so the listener is here too.
  const pid_t program = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (program < 0) die("clone");
  if (program == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(125);
    const int listener = install_filter(argv[1]);
    __atomic_store_n(&start->listener, listener < 0 ? -2 : listener, __ATOMIC_RELEASE);
    if (listener >= 0) execv(argv[5], argv + 6);
    _exit(125);
  }
  int listener = -1;
  while ((listener = __atomic_load_n(&start->listener, __ATOMIC_ACQUIRE)) == -1)
    sched_yield();
  if (listener < 0) {
    (void)fputs("injector: the kernel has no seccomp user notification\n", stderr);
    return 77;
  }
  const struct plan plan = {argv[1], strtoul(argv[2], NULL, 10), argv[3], program};
  forward_to = program;
  (void)signal(SIGTERM, forward);
  (void)signal(SIGPIPE, SIG_IGN); // half of what the program writes
  serve(listener, &plan);
  int status = 0;
  while (waitpid(program, &status, 0) < 0 && errno == EINTR) {
  }
  report(argv[4], is_rest(argv[1]));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
