// SPDX-License-Identifier: Apache-2.0
// A program that knows nothing of tmpdump and does as its arguments say; preload_test.py runs it under the
// shim. Every line that it prints is flushed, so that the test knows what it has come to.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char* what, long result) {
  printf("%s %ld\n", what, result);
  (void)fflush(stdout);
}

// One call by its name.

typedef int path_call(const char*);
static struct stat status;

// _STAT_VER of glibc 2.17
#ifdef __x86_64__
enum { stat_version = 1 };
#else
enum { stat_version = 0 };
#endif

#define OLD(name) ((int (*)(int, const char*, struct stat*))dlsym(RTLD_DEFAULT, name))
#define OLD_AT(name) ((int (*)(int, int, const char*, struct stat*, int))dlsym(RTLD_DEFAULT, name))
#define OPEN_2(name) ((int (*)(const char*, int))dlsym(RTLD_DEFAULT, name))
#define OPENAT_2(name) ((int (*)(int, const char*, int))dlsym(RTLD_DEFAULT, name))

static int with_stat(const char* path) {
  return stat(path, &status);
}
static int with_stat64(const char* path) {
  return stat64(path, (struct stat64*)&status);
}
static int with_lstat(const char* path) {
  return lstat(path, &status);
}
static int with_lstat64(const char* path) {
  return lstat64(path, (struct stat64*)&status);
}
static int with_fstatat(const char* path) {
  return fstatat(AT_FDCWD, path, &status, 0);
}
static int with_fstatat64(const char* path) {
  return fstatat64(AT_FDCWD, path, (struct stat64*)&status, AT_SYMLINK_NOFOLLOW);
}
static int with_xstat(const char* path) {
  return OLD("__xstat")(stat_version, path, &status);
}
static int with_xstat64(const char* path) {
  return OLD("__xstat64")(stat_version, path, &status);
}
static int with_lxstat(const char* path) {
  return OLD("__lxstat")(stat_version, path, &status);
}
static int with_lxstat64(const char* path) {
  return OLD("__lxstat64")(stat_version, path, &status);
}
static int with_fxstatat(const char* path) {
  return OLD_AT("__fxstatat")(stat_version, AT_FDCWD, path, &status, 0);
}
static int with_fxstatat64(const char* path) {
  return OLD_AT("__fxstatat64")(stat_version, AT_FDCWD, path, &status, 0);
}
static int with_statx(const char* path) {
  struct statx extended;
  return statx(AT_FDCWD, path, 0, STATX_SIZE, &extended);
}
static int with_access(const char* path) {
  return access(path, R_OK);
}
static int with_faccessat(const char* path) {
  return faccessat(AT_FDCWD, path, R_OK, 0);
}
static int closed(int fd) {
  return fd < 0 ? -1 : close(fd);
}
static int with_open(const char* path) {
  return closed(open(path, O_RDONLY));
}
static int with_open64(const char* path) {
  return closed(open64(path, O_RDONLY | O_CLOEXEC));
}
static int with_openat(const char* path) {
  return closed(openat(AT_FDCWD, path, O_RDONLY));
}
static int with_openat64(const char* path) {
  return closed(openat64(AT_FDCWD, path, O_RDONLY));
}
static int with_open_2(const char* path) {
  return closed(OPEN_2("__open_2")(path, O_RDONLY));
}
static int with_open64_2(const char* path) {
  return closed(OPEN_2("__open64_2")(path, O_RDONLY));
}
static int with_openat_2(const char* path) {
  return closed(OPENAT_2("__openat_2")(AT_FDCWD, path, O_RDONLY));
}
static int with_openat64_2(const char* path) {
  return closed(OPENAT_2("__openat64_2")(AT_FDCWD, path, O_RDONLY));
}
static int with_nofollow(const char* path) {
  return closed(open(path, O_PATH | O_NOFOLLOW));
}
static int with_fopen(const char* path) {
  FILE* file = fopen(path, "r");
  return file == NULL ? -1 : fclose(file);
}
static int with_fopen64(const char* path) {
  FILE* file = fopen64(path, "re");
  return file == NULL ? -1 : fclose(file);
}
static int with_realpath(const char* path) {
  char* real = realpath(path, NULL);
  free(real);
  return real == NULL ? -1 : 0;
}
static int with_realpath_chk(const char* path) {
  char real[8192];
  char* (*const check)(const char*, char*, size_t) =
      (char* (*)(const char*, char*, size_t))dlsym(RTLD_DEFAULT, "__realpath_chk");
  return check(path, real, sizeof real) == NULL ? -1 : 0;
}
static int with_canonicalize(const char* path) {
  char* real = canonicalize_file_name(path);
  free(real);
  return real == NULL ? -1 : 0;
}
static int with_chdir(const char* path) {
  return chdir(path);
}
// For a directory: how many names are in it, "." and ".." not.
static int with_opendir(const char* path) {
  DIR* stream = opendir(path);
  if (stream == NULL) return -1;
  int count = -2;
  while (readdir(stream) != NULL)
    ++count;
  closedir(stream);
  return count;
}
static int count_below(int fd) {
  DIR* stream = fd < 0 ? NULL : fdopendir(fd);
  if (stream == NULL) return -1;
  int count = -2;
  while (readdir(stream) != NULL)
    ++count;
  closedir(stream);
  return count;
}
static int with_fdopendir(const char* path) {
  return count_below(open(path, O_RDONLY | O_DIRECTORY));
}
// As who walks a tree and follows no links: find, libstdc++'s recursive_directory_iterator.
static int with_descend(const char* path) {
  return count_below(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
}
static int count_and_free(struct dirent** names, int count) {
  for (int i = 0; i < count; ++i)
    free(names[i]);
  if (count >= 0) free(names);
  return count < 0 ? -1 : count - 2;
}
static int with_scandir(const char* path) {
  struct dirent** names = NULL;
  const int count = scandir(path, &names, NULL, alphasort);
  return count_and_free(names, count);
}
static int with_scandir64(const char* path) {
  struct dirent64** names = NULL;
  const int count = scandir64(path, &names, NULL, alphasort64);
  return count_and_free((struct dirent**)names, count);
}
// For a library: what its leaf() or branch() answers.
static int answer(void* handle) {
  if (handle == NULL) return -1;
  int (*function)(void) = (int (*)(void))dlsym(handle, "branch");
  if (function == NULL) function = (int (*)(void))dlsym(handle, "leaf");
  return function == NULL ? -2 : function();
}
static int with_dlopen(const char* path) {
  return answer(dlopen(path, RTLD_NOW));
}
static int with_dlmopen(const char* path) {
  return answer(dlmopen(LM_ID_NEWLM, path, RTLD_NOW));
}
static int with_noload(const char* path) {
  return dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL ? 0 : 1;
}

static const struct {
  const char* name;
  path_call* call;
} calls[] = {{"stat", with_stat},
             {"stat64", with_stat64},
             {"lstat", with_lstat},
             {"lstat64", with_lstat64},
             {"fstatat", with_fstatat},
             {"fstatat64", with_fstatat64},
             {"__xstat", with_xstat},
             {"__xstat64", with_xstat64},
             {"__lxstat", with_lxstat},
             {"__lxstat64", with_lxstat64},
             {"__fxstatat", with_fxstatat},
             {"__fxstatat64", with_fxstatat64},
             {"statx", with_statx},
             {"access", with_access},
             {"faccessat", with_faccessat},
             {"open", with_open},
             {"open64", with_open64},
             {"openat", with_openat},
             {"openat64", with_openat64},
             {"__open_2", with_open_2},
             {"__open64_2", with_open64_2},
             {"__openat_2", with_openat_2},
             {"__openat64_2", with_openat64_2},
             {"nofollow", with_nofollow},
             {"fopen", with_fopen},
             {"fopen64", with_fopen64},
             {"realpath", with_realpath},
             {"__realpath_chk", with_realpath_chk},
             {"canonicalize_file_name", with_canonicalize},
             {"chdir", with_chdir},
             {"opendir", with_opendir},
             {"fdopendir", with_fdopendir},
             {"descend", with_descend},
             {"scandir", with_scandir},
             {"scandir64", with_scandir64},
             {"dlopen", with_dlopen},
             {"dlmopen", with_dlmopen},
             {"noload", with_noload}};

static int make(const char* name, const char* path) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; ++i) {
    if (strcmp(calls[i].name, name) != 0) continue;
    errno = 0;
    const int result = calls[i].call(path);
    if (result == -1 && strstr(name, "dl") == name) printf("%s\n", dlerror());
    return result;
  }
  (void)fprintf(stderr, "probe: no call '%s'\n", name);
  exit(2);
}

// Stories.

static void* load_in_thread(void* path) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a thread's result
  return (void*)(long)with_dlopen(path);
}

static void threads(const char* path, int count) {
  pthread_t ids[64];
  for (int i = 0; i < count; ++i)
    pthread_create(&ids[i], NULL, load_in_thread, (void*)path);
  long sum = 0;
  for (int i = 0; i < count; ++i) {
    void* result = NULL;
    pthread_join(ids[i], &result);
    sum += (long)result;
  }
  say("sum", sum);
}

static int status_of(pid_t child) {
  int ended = 0;
  waitpid(child, &ended, 0);
  return WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
}

static void in_child(const char* call, const char* path) {
  const pid_t child = fork();
  if (child == 0) _exit(make(call, path));
  say("child", status_of(child));
}

// NOLINTBEGIN(clang-analyzer-unix.Vfork,clang-analyzer-security.insecureAPI.vfork,bugprone-unused-return-value)
static void by_vfork(char** command) {
  const pid_t child = vfork();
  if (child == 0) {
    // What a shell does there: look at things and put descriptors in order.
    struct stat looked;
    stat(command[0], &looked);
    access("/tmp", F_OK);
    const int fd = open("/dev/null", O_RDONLY);
    if (fd >= 0) dup2(fd, 0);
    execv(command[0], command);
    _exit(127);
  }
  say("child", status_of(child));
}
// NOLINTEND(clang-analyzer-unix.Vfork,clang-analyzer-security.insecureAPI.vfork,bugprone-unused-return-value)

// What is newer than Linux 4.10 is not permitted, as behind the filters of old container engines.
static int forbid_new_system_calls(void) {
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_statx, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// Everything that could differ with the shim: results, errno, modes, what variadic arguments carry.
static void transcript(const char* folder) {
  static const char* const paths[] = {"",        "/", "/nowhere/at/all", "/usr",
                                      "nowhere", ".", "/etc/passwd/x",   NULL};
  char longest[5000];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  umask(022);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; ++i) {
    if (strcmp(calls[i].name, "chdir") == 0 || strstr(calls[i].name, "dl") == calls[i].name ||
        strcmp(calls[i].name, "noload") == 0) {
      continue;
    }
    for (const char* const* path = paths; *path != NULL; ++path) {
      errno = 77;
      const int result = calls[i].call(*path);
      printf("%s(%s) = %d, errno %d\n", calls[i].name, *path, result, errno);
    }
    errno = 77;
    const int result = calls[i].call(longest);
    printf("%s(longest) = %d, errno %d\n", calls[i].name, result, errno);
  }
  const char* volatile none = NULL;
  printf("stat(NULL) = %d, errno %d\n", stat(none, &status), errno);
  printf("access(NULL) = %d, errno %d\n", access(none, 0), errno);
  printf("open(NULL) = %d, errno %d\n", open(none, O_RDONLY), errno);
  printf("statx(NULL) = %d, errno %d\n", statx(AT_FDCWD, none, 0, 0, (struct statx*)longest), errno);
  if (chdir(folder) != 0) return;
  int fd = open("made", O_CREAT | O_WRONLY | O_EXCL, 0640);
  printf("made %o\n", fstat(fd, &status) == 0 ? (unsigned)status.st_mode & 07777U : 0);
  close(fd);
  fd = openat(AT_FDCWD, "made2", O_CREAT | O_RDWR, 0600);
  printf("made2 %o\n", fstat(fd, &status) == 0 ? (unsigned)status.st_mode & 07777U : 0);
  close(fd);
  const int directory = open(folder, O_RDONLY | O_DIRECTORY);
  fd = open64(folder, O_TMPFILE | O_RDWR, 0604);
  printf("nameless %o, errno %d\n",
         fd >= 0 && fstat(fd, &status) == 0 ? (unsigned)status.st_mode & 07777U : 0, fd >= 0 ? 0 : errno);
  if (fd >= 0) close(fd);
  fd = openat64(directory, "made3", O_CREAT | O_RDWR, 04711);
  printf("made3 %o\n", fstat(fd, &status) == 0 ? (unsigned)status.st_mode & 07777U : 0);
  close(fd);
  printf("fstatat made3 %d, of a bad descriptor %d %d\n", fstatat(directory, "made3", &status, 0),
         fstatat(999, "made3", &status, 0), errno);
  printf("empty path %d\n", fstatat(directory, "", &status, AT_EMPTY_PATH));
  printf("fchdir %d, then %d\n", fchdir(directory), access("made3", F_OK));
  close(directory);
  printf("no library: %d\n", dlopen("libnone-at-all.so", RTLD_NOW) == NULL);
  printf("%s\n", dlerror());
  printf("dlerror again: %d\n", dlerror() == NULL);
  printf("the program: %d\n", dlopen(NULL, RTLD_NOW) != NULL);
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (strcmp(argv[1], "threads") == 0)
    threads(argv[2], 48);
  else if (strcmp(argv[1], "fork") == 0)
    in_child(argv[2], argv[3]);
  else if (strcmp(argv[1], "vfork") == 0)
    by_vfork(argv + 2);
  else if (strcmp(argv[1], "transcript") == 0)
    transcript(argv[2]);
  else if (strcmp(argv[1], "from") == 0) { // a library that loads another one
    void* (*load)(const char*) = (void* (*)(const char*))dlsym(dlopen(argv[2], RTLD_NOW), "load");
    void* loaded = load(argv[3]);
    if (loaded == NULL) printf("%s\n", dlerror());
    say(argv[3], answer(loaded));
  } else {
    const int filtered = strcmp(argv[1], "filtered") == 0;
    if (filtered) say("filtered", forbid_new_system_calls());
    for (int i = 1 + filtered; i + 1 < argc; i += 2)
      say(argv[i], make(argv[i], argv[i + 1]));
  }
  return 0;
}
