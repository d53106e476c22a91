/* Preloaded into a server under test: counts the calls that change files below one folder, makes one
 * of them fail, and writes down what happened in which order.
 *
 * WAXSEAL_FAULT_ROOT   only files below it count
 * WAXSEAL_FAULT_TRACE  where to write; without it nothing is written
 * WAXSEAL_FAULT_AT     the number of the call that fails, from 1; 0 or absent: none
 * WAXSEAL_FAULT_KIND   eio, enospc, or kill
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *root;
static size_t root_length;
static const char *kind;
static long fault_at;
static long count;
static int trace = -1;

static void set_up(void) {
    const char *at = getenv("WAXSEAL_FAULT_AT");
    const char *path = getenv("WAXSEAL_FAULT_TRACE");
    root = getenv("WAXSEAL_FAULT_ROOT");
    root_length = root ? strlen(root) : 0;
    kind = getenv("WAXSEAL_FAULT_KIND");
    fault_at = at ? atol(at) : 0;
    if (path)
        trace = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

#define REAL(result, name, ...)                                       \
    static result (*real)(__VA_ARGS__);                               \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* A line of the trace. Long ones are what a server answers. */
static void say(const char *line, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    if (trace < 0) return;
    if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    pthread_mutex_lock(&lock);
    while (length > 0) {
        ssize_t done = real(trace, line, length);
        if (done <= 0) break;
        line += done;
        length -= (size_t)done;
    }
    pthread_mutex_unlock(&lock);
}

static void tell(const char *what, const char *path, long long offset) {
    char line[PATH_MAX + 80];
    int length = snprintf(line, sizeof line, "%s %lld %s\n", what, offset, path + root_length);
    if (length > 0 && (size_t)length < sizeof line) say(line, (size_t)length);
}

static int below(const char *path) {
    pthread_once(&once, set_up);
    return root && strncmp(path, root, root_length) == 0;
}

static int path_of(int fd, char *path) {
    char link[40];
    pthread_once(&once, set_up);
    if (!root) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

/* Whether this call fails; does not return where it is the process that ends. */
static int fails(const char *what, const char *path) {
    long number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    if (number != fault_at || !kind) return 0;
    tell(kind, path, number);
    tell(what, path, -1);
    if (strcmp(kind, "kill") == 0) {
        raise(SIGKILL);
    }
    errno = strcmp(kind, "enospc") == 0 ? ENOSPC : EIO;
    return 1;
}

/* Tells of each `"digest":"…"` in bytes that go to a file: an entry of the log. */
static void tell_entries(const char *path, const uint8_t *bytes, size_t length) {
    static const char mark[] = "\"digest\":\"";
    const uint8_t *end = bytes + length;
    while (bytes < end) {
        const uint8_t *found = memmem(bytes, (size_t)(end - bytes), mark, sizeof mark - 1);
        if (!found || end - found < (long)sizeof mark + 44) return;
        char what[64];
        snprintf(what, sizeof what, "entry:%.44s", (const char *)found + sizeof mark - 1);
        tell(what, path, 0);
        bytes = found + sizeof mark;
    }
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, bytes, length, offset);
    if (fails("pwrite", path)) return -1;
    ssize_t done = real(fd, bytes, length, offset);
    tell("write", path, offset);
    tell_entries(path, bytes, length);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, "write", int, const void *, size_t);
    char path[PATH_MAX];
    if (fd == trace || !path_of(fd, path)) return real(fd, bytes, length);
    if (fails("write", path)) return -1;
    ssize_t done = real(fd, bytes, length);
    tell("write", path, -1);
    return done;
}

static int synced(int fd, const char *name, int (*real)(int)) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd);
    if (fails(name, path)) return -1;
    tell("sync", path, 0);
    int result = real(fd);
    if (result == 0) tell("synced", path, 0);
    return result;
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    return synced(fd, "fsync", real);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return synced(fd, "fdatasync", real);
}

int ftruncate64(int fd, off64_t length) {
    REAL(int, "ftruncate64", int, off64_t);
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, length);
    if (fails("ftruncate", path)) return -1;
    tell("truncate", path, length);
    return real(fd, length);
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    if (!below(to)) return real(from, to);
    if (fails("rename", to)) return -1;
    tell("rename", to, 0);
    return real(from, to);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    if (!below(to)) return real(from_fd, from, to_fd, to, flags);
    if (fails("linkat", to)) return -1;
    tell("link", to, 0);
    return real(from_fd, from, to_fd, to, flags);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    if (!below(path)) return real(path);
    if (fails("unlink", path)) return -1;
    tell("unlink", path, 0);
    return real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    if (!below(path)) return real(path, mode);
    if (fails("mkdir", path)) return -1;
    tell("mkdir", path, 0);
    return real(path, mode);
}

int open64(const char *path, int flags, ...) {
    REAL(int, "open64", const char *, int, ...);
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    if ((flags & O_CREAT) && below(path) && fails("open", path)) return -1;
    return real(path, flags, mode);
}

/* Answers: `answer`, then the response in hexadecimal, on one line. */
static void tell_answer(const struct iovec *parts, int parts_count) {
    static const char mark[] = "HTTP/1.1 201";
    pthread_once(&once, set_up);
    if (trace < 0 || parts_count < 1 || parts[0].iov_len < sizeof mark - 1) return;
    if (memcmp(parts[0].iov_base, mark, sizeof mark - 1) != 0) return;
    size_t length = 0;
    for (int i = 0; i < parts_count; i++) length += parts[i].iov_len;
    char *line = malloc(2 * length + 16);
    if (!line) return;
    size_t at = (size_t)sprintf(line, "answer ");
    for (int i = 0; i < parts_count; i++) {
        const uint8_t *bytes = parts[i].iov_base;
        for (size_t j = 0; j < parts[i].iov_len; j++)
            at += (size_t)sprintf(line + at, "%02x", bytes[j]);
    }
    line[at++] = '\n';
    say(line, at);
    free(line);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    REAL(ssize_t, "send", int, const void *, size_t, int);
    struct iovec part = {(void *)bytes, length};
    tell_answer(&part, 1);
    return real(fd, bytes, length, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int parts_count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    tell_answer(parts, parts_count);
    return real(fd, parts, parts_count);
}
