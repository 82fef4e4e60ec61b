/* A disk in trouble: lets the n-th call that concerns a folder's files fail, by LD_PRELOAD.
 *
 * $FAULTS names a file of 4096 bytes, `struct control` below, which is shared with whoever arms it.
 * Calls are those of the C library (open(2) and so on), which Python and SQLite use. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPEN = 1, CREATE = 2, READ = 4, WRITE = 8, SYNC = 16, RENAME = 32, REMOVE = 64 };

struct control {
    int32_t kinds;  /* which calls, a sum of the above; 0: none */
    int32_t number; /* the first that fails, from 1 */
    int32_t span;   /* how many fail */
    int32_t error;  /* errno(3) */
    int32_t torn;   /* whether half of a failing write is written */
    int32_t count;  /* such calls so far */
    int32_t failed; /* of these */
    char folder[1024];
};

static struct control *control;
static unsigned char concerned[4096]; /* by descriptor */

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS");
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int number = path ? real_open(path, O_RDWR | O_CLOEXEC) : -1;
    if (number < 0) return;
    void *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0);
    control = place == MAP_FAILED ? NULL : place;
    close(number);
}

static int fails(int kind) {
    if (!control || !(control->kinds & kind)) return 0;
    int32_t at = __sync_add_and_fetch(&control->count, 1);
    if (at < control->number || at - control->number >= control->span) return 0;
    __sync_add_and_fetch(&control->failed, 1);
    errno = control->error;
    return 1;
}

static int within(const char *path) {
    size_t length = control ? strlen(control->folder) : 0;
    return length && path && !strncmp(path, control->folder, length);
}

static int of(int number) { return number >= 0 && number < 4096 && concerned[number]; }

static int note(int number, const char *path) {
    if (number >= 0 && number < 4096) concerned[number] = within(path);
    return number;
}

static int opening(const char *path, int flags) {
    if (!within(path)) return 0;
    if ((flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) && fails(CREATE)) return 1;
    return fails(OPEN);
}

#define REAL(name, result, ...) static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define OPENER(name) \
int name(const char *path, int flags, ...) { \
    REAL(#name, int, const char *, int, ...); \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
    return opening(path, flags) ? -1 : note(real(path, flags, mode), path); \
}
OPENER(open)
OPENER(open64)

#define OPENER_AT(name) \
int name(int at, const char *path, int flags, ...) { \
    REAL(#name, int, int, const char *, int, ...); \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
    return opening(path, flags) ? -1 : note(real(at, path, flags, mode), path); \
}
OPENER_AT(openat)
OPENER_AT(openat64)

int close(int number) {
    REAL("close", int, int);
    note(number, NULL);
    return real(number);
}

ssize_t write(int number, const void *data, size_t size) {
    REAL("write", ssize_t, int, const void *, size_t);
    if (!of(number) || !fails(WRITE)) return real(number, data, size);
    if (control->torn && size > 1) { real(number, data, size / 2); errno = control->error; }
    return -1;
}

#define WRITER_AT(name, offset_type) \
ssize_t name(int number, const void *data, size_t size, offset_type offset) { \
    REAL(#name, ssize_t, int, const void *, size_t, offset_type); \
    if (!of(number) || !fails(WRITE)) return real(number, data, size, offset); \
    if (control->torn && size > 1) { real(number, data, size / 2, offset); errno = control->error; } \
    return -1; \
}
WRITER_AT(pwrite, off_t)
WRITER_AT(pwrite64, off64_t)

ssize_t read(int number, void *data, size_t size) {
    REAL("read", ssize_t, int, void *, size_t);
    return of(number) && fails(READ) ? -1 : real(number, data, size);
}

#define READER_AT(name, offset_type) \
ssize_t name(int number, void *data, size_t size, offset_type offset) { \
    REAL(#name, ssize_t, int, void *, size_t, offset_type); \
    return of(number) && fails(READ) ? -1 : real(number, data, size, offset); \
}
READER_AT(pread, off_t)
READER_AT(pread64, off64_t)

#define SYNCER(name) \
int name(int number) { \
    REAL(#name, int, int); \
    return of(number) && fails(SYNC) ? -1 : real(number); \
}
SYNCER(fsync)
SYNCER(fdatasync)

#define CUTTER(name, offset_type) \
int name(int number, offset_type size) { \
    REAL(#name, int, int, offset_type); \
    return of(number) && fails(WRITE) ? -1 : real(number, size); \
}
CUTTER(ftruncate, off_t)
CUTTER(ftruncate64, off64_t)

int posix_fallocate64(int number, off64_t offset, off64_t size) {
    REAL("posix_fallocate64", int, int, off64_t, off64_t);
    return of(number) && fails(WRITE) ? control->error : real(number, offset, size);
}

int fallocate64(int number, int mode, off64_t offset, off64_t size) {
    REAL("fallocate64", int, int, int, off64_t, off64_t);
    return of(number) && fails(WRITE) ? -1 : real(number, mode, offset, size);
}

#define PAIR(name) \
int name(const char *from, const char *to) { \
    REAL(#name, int, const char *, const char *); \
    return within(to) && fails(RENAME) ? -1 : real(from, to); \
}
PAIR(rename)
PAIR(link)
PAIR(symlink)

#define ONE(name) \
int name(const char *path) { \
    REAL(#name, int, const char *); \
    return within(path) && fails(REMOVE) ? -1 : real(path); \
}
ONE(unlink)
ONE(rmdir)

int unlinkat(int at, const char *path, int flags) { /* shutil.rmtree's, relative to a folder */
    REAL("unlinkat", int, int, const char *, int);
    int ours = of(at) || within(path);
    return ours && fails(REMOVE) ? -1 : real(at, path, flags);
}

int mkdir(const char *path, mode_t mode) {
    REAL("mkdir", int, const char *, mode_t);
    return within(path) && fails(CREATE) ? -1 : real(path, mode);
}
