/* Stands between the server and libc, by LD_PRELOAD, for the files of one database. It writes down each
 * write, truncation, sync, creation and removal in the order in which the server did them, with what the
 * server sent to its sockets in between; and it makes the calls fail that a test wants to fail.
 *
 * DISK_DATABASE is the database's path, DISK_RECORD the file that the record is appended to and
 * DISK_CONTROL a file of errno values that the test changes while the server runs; the last two may be
 * absent. Memory maps are not seen: SQLite maps only its -shm file, which a loss of power may take. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum file { NONE, DATABASE, LOG, FOLDER, PARENT, JOURNAL, OTHER, FILES };
enum kind { WRITE = 1, TRUNCATE, SYNC, SYNC_FAILED, CREATE, UNLINK, SENT };
enum call { ON_WRITE, ON_READ, ON_SYNC, ON_OPEN, ON_UNLINK, CALLS };

struct entry {
    uint32_t kind;
    uint32_t file;
    uint64_t offset;
    uint64_t length;
};

#define DESCRIPTORS 65536
static unsigned char files[DESCRIPTORS];
static char database[PATH_MAX], folder[PATH_MAX], parent[PATH_MAX];
static int record = -1;
/* faults[call * FILES + file] is the errno of that call; failures counts what has been made to fail. As many
 * calls that would fail as spared says succeed before. */
static volatile int32_t *faults;
#define FAILURES (CALLS * FILES)
#define SPARED (FAILURES + 1)

static void up(char *to, const char *from) {
    strcpy(to, from);
    char *slash = strrchr(to, '/');
    if (slash) *slash = 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_DATABASE");
    if (!path) return;
    strncpy(database, path, sizeof database - 1);
    up(folder, database);
    up(parent, folder);
    const char *to = getenv("DISK_RECORD");
    if (to) {
        int fd = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        record = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 1000);
        if (record < 0) record = fd; else syscall(SYS_close, fd);
    }
    const char *control = getenv("DISK_CONTROL");
    if (control) {
        int fd = syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC, 0);
        void *at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        syscall(SYS_close, fd);
        if (at != MAP_FAILED) faults = at;
    }
}

static void note(enum kind kind, enum file file, uint64_t offset, const void *bytes, uint64_t length) {
    if (record < 0 || file >= OTHER || (file == NONE && kind != SENT)) return;
    struct entry entry = {kind, file, offset, length};
    struct iovec parts[2] = {{&entry, sizeof entry}, {(void *)bytes, bytes ? length : 0}};
    if (syscall(SYS_writev, record, parts, 2) < 0) abort();
}

static int fails(enum call call, enum file file) {
    int32_t error = faults && file != NONE ? faults[call * FILES + file] : 0;
    if (error == 0) return 0;
    if (faults[SPARED] > 0) {
        faults[SPARED]--;
        return 0;
    }
    faults[FAILURES]++;
    errno = error;
    return 1;
}

static enum file file_of_path(const char *path) {
    size_t length = strlen(database);
    if (length == 0 || path[0] != '/') return NONE;
    if (strcmp(path, folder) == 0) return FOLDER;
    if (strcmp(path, parent) == 0) return PARENT;
    if (strncmp(path, database, length) != 0) return NONE;
    if (path[length] == 0) return DATABASE;
    if (strcmp(path + length, "-journal") == 0) return JOURNAL;
    return strcmp(path + length, "-wal") == 0 ? LOG : OTHER;
}

static enum file file_of(int fd) { return fd >= 0 && fd < DESCRIPTORS ? files[fd] : NONE; }

static int open_path(int at, const char *path, int flags, mode_t mode) {
    enum file file = file_of_path(path);
    if (file == NONE) return syscall(SYS_openat, at, path, flags, mode);
    int is_new = (flags & O_CREAT) && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    if ((is_new || (flags & O_ACCMODE) != O_RDONLY) && fails(ON_OPEN, file)) return -1;
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && fd < DESCRIPTORS) {
        files[fd] = file;
        if (is_new) note(CREATE, file, 0, 0, 0);
        else if (flags & O_TRUNC) note(TRUNCATE, file, 0, 0, 0);
    }
    return fd;
}

#define MODE(flags, last)                                          \
    mode_t mode = 0;                                               \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                       \
        va_list rest;                                              \
        va_start(rest, last);                                      \
        mode = va_arg(rest, mode_t);                               \
        va_end(rest);                                              \
    }

int open(const char *path, int flags, ...) { MODE(flags, flags) return open_path(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, flags) return open_path(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, flags) return open_path(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, flags) return open_path(at, path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < DESCRIPTORS) files[fd] = NONE;
    return syscall(SYS_close, fd);
}

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t offset) {
    enum file file = file_of(fd);
    if (fails(ON_WRITE, file)) return -1;
    /* Before it is done: whoever sees what was written finds it in the record. A kill may come in between; then
     * `forget_undone` takes it out again. */
    note(WRITE, file, offset, bytes, length);
    return syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return write_at(fd, bytes, length, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) { return write_at(fd, bytes, length, offset); }

static int is_socket(int fd) {
    struct stat about;
    return record >= 0 && fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    enum file file = file_of(fd);
    if (fails(ON_WRITE, file)) return -1;
    if (file != NONE) note(WRITE, file, syscall(SYS_lseek, fd, 0, SEEK_CUR), bytes, length);
    ssize_t done = syscall(SYS_write, fd, bytes, length);
    if (done > 0 && file == NONE && is_socket(fd)) note(SENT, NONE, fd, bytes, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    ssize_t done = syscall(SYS_writev, fd, parts, count);
    if (done > 0 && is_socket(fd)) {
        size_t left = done;
        for (int at = 0; at < count && left > 0; at++) {
            size_t length = parts[at].iov_len < left ? parts[at].iov_len : left;
            note(SENT, NONE, fd, parts[at].iov_base, length);
            left -= length;
        }
    }
    return done;
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    ssize_t done = syscall(SYS_sendto, fd, bytes, length, flags, 0, 0);
    if (done > 0) note(SENT, NONE, fd, bytes, done);
    return done;
}

ssize_t read(int fd, void *bytes, size_t length) {
    if (fails(ON_READ, file_of(fd))) return -1;
    return syscall(SYS_read, fd, bytes, length);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset) {
    if (fails(ON_READ, file_of(fd))) return -1;
    return syscall(SYS_pread64, fd, bytes, length, offset);
}

ssize_t pread64(int fd, void *bytes, size_t length, off_t offset) { return pread(fd, bytes, length, offset); }

static int sync_file(long call, int fd) {
    enum file file = file_of(fd);
    if (fails(ON_SYNC, file)) {
        int error = errno;
        note(SYNC_FAILED, file, 0, 0, 0);
        errno = error;
        return -1;
    }
    /* The record is what a test looks at; the real disk need not turn for it. */
    int done = record >= 0 && file != NONE ? 0 : syscall(call, fd);
    if (done == 0 && file != NONE) note(SYNC, file, 0, 0, 0);
    return done;
}

int fsync(int fd) { return sync_file(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_file(SYS_fdatasync, fd); }

static int truncate_file(int fd, off_t length) {
    enum file file = file_of(fd);
    if (fails(ON_WRITE, file)) return -1;
    note(TRUNCATE, file, length, 0, 0);
    return syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length) { return truncate_file(fd, length); }
int ftruncate64(int fd, off_t length) { return truncate_file(fd, length); }

int unlink(const char *path) {
    enum file file = file_of_path(path);
    if (fails(ON_UNLINK, file)) return -1;
    if (syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0) note(UNLINK, file, 0, 0, 0);
    return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
