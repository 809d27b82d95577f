/* Stands between the server and libc, by LD_PRELOAD, and moves its wall clock: CLOCK_OFFSET is a file of
 * one int64, the seconds to add, which the test changes while the server runs. The monotonic clock goes
 * on as it does. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CLOCK_OFFSET");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) abort();
    void *at = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) abort();
    offset = at;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && offset) time->tv_sec += *offset;
    return result;
}
