/* Calls that write below a folder, counted; from the n-th on they fail, or take long.

   Loaded with LD_PRELOAD; the process arms it through ctypes: fault_arm(folder, n, error, times,
   delay_us), fault_disarm(), which returns how many calls there were, and fault_path(). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[4096], last[4096];
static int armed, first, error, times;
static long calls;
static useconds_t delay;

void fault_arm(const char *below, int n, int number, int how_often, int delay_us) {
    pthread_mutex_lock(&lock);
    snprintf(folder, sizeof folder, "%s/", below);
    first = n, error = number, times = how_often, delay = delay_us;
    calls = 0, last[0] = 0, armed = 1;
    pthread_mutex_unlock(&lock);
}

long fault_disarm(void) {
    armed = 0;
    return calls;
}

const char *fault_path(void) { return last; }

/* Whether a call that writes to this path is to fail. */
static int fails(const char *path) {
    if (!armed || !path || strncmp(path, folder, strlen(folder)))
        return 0;
    if (delay)
        usleep(delay);
    pthread_mutex_lock(&lock);
    long n = calls++;
    int bad = error && n >= first && n - first < times;
    if (bad)
        snprintf(last, sizeof last, "%s", path);
    pthread_mutex_unlock(&lock);
    if (bad)
        errno = error;
    return bad;
}

static int fails_fd(int fd) {
    char name[64], path[4096];
    if (!armed)
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(name, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return fails(path);
}

#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))
#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                                  \
        va_end(more);                                                                              \
        return WRITES(flags) && fails(path) ? -1 : REAL(name)(path, flags, mode);                  \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *data, size_t size) {
    return fails_fd(fd) ? -1 : REAL(write)(fd, data, size);
}
int fsync(int fd) { return fails_fd(fd) ? -1 : REAL(fsync)(fd); }
int rename(const char *from, const char *to) { return fails(to) ? -1 : REAL(rename)(from, to); }
int link(const char *from, const char *to) { return fails(to) ? -1 : REAL(link)(from, to); }
int mkdir(const char *path, mode_t mode) { return fails(path) ? -1 : REAL(mkdir)(path, mode); }
int unlink(const char *path) { return fails(path) ? -1 : REAL(unlink)(path); }
int rmdir(const char *path) { return fails(path) ? -1 : REAL(rmdir)(path); }
