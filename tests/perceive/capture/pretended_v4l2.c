/* Cameras without a kernel driver, for LD_PRELOAD: answers open(2), ioctl(2) and close(2) of the
 * nodes that the file named by PRETENDED_CAMERAS describes. It is read at each open:
 *
 *     node PATH CAPABILITIES DRIVER
 *     format CODE WIDTH HEIGHT STRIDE PLANES FPS     (several; sizes are listed, FPS 0: no rates)
 *     steps CODE MIN_W MAX_W STEP_W MIN_H MAX_H STEP_H
 *     unlisted                                       (no sizes can be listed)
 *     refuse ERRNO CODE                              (VIDIOC_STREAMON, for this format)
 *     stop N                                         (ENODEV after N frames; -N: silence)
 *     frames PATH                                    (records: flags, planes, their lengths, bytes)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS 4
#define LENGTH (1 << 20)

struct format { uint32_t code, w, h, stride, planes, fps; };
static struct {
    int fd, listed, refuse, count;
    uint32_t caps, refused, steps[7];
    char driver[16];
    struct format formats[16], now;
    long stop, sent;
    uint8_t *memory, *frames, *next, *end;
    uint32_t queue[64], head, tail;
} cam = {.fd = -1};

static uint32_t code(const char *s) {
    uint32_t c = v4l2_fourcc(s[0], s[1], s[2], s[3] == '_' ? ' ' : s[3]);
    return strlen(s) > 4 ? c | 1u << 31 : c;
}

static void load_frames(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    free(cam.frames);
    cam.next = cam.frames = malloc(n + 1);
    cam.end = cam.frames + fread(cam.frames, 1, n, f);
    fclose(f);
}

static int open_camera(const char *path) {
    FILE *f = fopen(getenv("PRETENDED_CAMERAS") ?: "/dev/null", "r");
    char line[512], word[300], name[300];
    int mine = 0;
    if (!f) { errno = ENOENT; return -1; }
    if (cam.fd >= 0) { fclose(f); errno = EBUSY; return -1; }
    cam.refuse = cam.count = 0; cam.listed = 1; cam.stop = 1 << 30; cam.sent = 0;
    cam.head = cam.tail = 0;
    memset(cam.steps, 0, sizeof cam.steps);
    while (fgets(line, sizeof line, f)) {
        struct format x;
        uint32_t s[6];
        if (sscanf(line, "node %299s", name) == 1) {
            mine += !strcmp(name, path) ? 1 : mine ? 100 : 0;
            if (mine == 1) sscanf(line, "node %*s %x %15s", &cam.caps, cam.driver);
        }
        if (mine != 1) continue;
        if (sscanf(line, "format %299s %u %u %u %u %u", word, &x.w, &x.h, &x.stride, &x.planes, &x.fps) == 6)
            x.code = code(word), cam.formats[cam.count++] = x;
        if (sscanf(line, "steps %299s %u %u %u %u %u %u", word, s, s + 1, s + 2, s + 3, s + 4, s + 5) == 7)
            cam.steps[0] = code(word), memcpy(cam.steps + 1, s, sizeof s);
        if (!strncmp(line, "unlisted", 8)) cam.listed = 0;
        if (sscanf(line, "refuse %d %299s", &cam.refuse, word) == 2) cam.refused = code(word);
        sscanf(line, "stop %ld", &cam.stop);
        if (sscanf(line, "frames %299s", word) == 1) load_frames(word);
    }
    fclose(f);
    if (!mine) { errno = ENOENT; return -1; }
    cam.now = cam.formats[0];
    cam.fd = memfd_create("camera", 0);
    if (ftruncate(cam.fd, (off_t)LENGTH * BUFFERS * 2)) return -1;
    cam.memory = mmap(0, LENGTH * BUFFERS * 2, PROT_READ | PROT_WRITE, MAP_SHARED, cam.fd, 0);
    return cam.fd;
}

#define OPEN(name)                                                                        \
    int name(const char *path, int flags, ...) {                                          \
        va_list a; va_start(a, flags); int mode = va_arg(a, int); va_end(a);              \
        static int (*real)(const char *, int, ...);                                       \
        if (!real) real = dlsym(RTLD_NEXT, #name);                                        \
        if (strncmp(path, "/dev/video", 10) && strncmp(path, "/dev/v4l/", 9))             \
            return real(path, flags, mode);                                               \
        return open_camera(path);                                                         \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "close");
    if (fd == cam.fd && fd >= 0) { munmap(cam.memory, LENGTH * BUFFERS * 2); cam.fd = -1; }
    return real(fd);
}

static int fail(int number) { errno = number; return -1; }

static int mplane(void) { return !(cam.caps & V4L2_CAP_VIDEO_CAPTURE); }

static void describe(struct v4l2_format *f) {
    if (mplane()) {
        struct v4l2_pix_format_mplane *m = &f->fmt.pix_mp;
        m->width = cam.now.w; m->height = cam.now.h; m->pixelformat = cam.now.code;
        m->num_planes = cam.now.planes;
        for (uint32_t n = 0; n < cam.now.planes; n++) m->plane_fmt[n].bytesperline = cam.now.stride;
        return;
    }
    struct v4l2_pix_format *p = &f->fmt.pix;
    p->width = cam.now.w; p->height = cam.now.h; p->pixelformat = cam.now.code;
    p->bytesperline = cam.now.stride; p->sizeimage = LENGTH;
}

static void choose(struct v4l2_format *f) {
    uint32_t c = mplane() ? f->fmt.pix_mp.pixelformat : f->fmt.pix.pixelformat;
    uint32_t w = mplane() ? f->fmt.pix_mp.width : f->fmt.pix.width;
    struct format *best = 0;
    for (int n = 0; n < cam.count; n++)
        if (cam.formats[n].code == c && (!best || cam.formats[n].w == w)) best = cam.formats + n;
    if (best) cam.now = *best;
    if (cam.steps[0] == c) { cam.now.w = w; cam.now.h = f->fmt.pix.height; cam.now.stride = w; }
    describe(f);
}

static int dequeue(struct v4l2_buffer *b) {
    struct timespec t = {0, 500000};
    if (cam.sent >= labs(cam.stop)) return fail(cam.stop < 0 ? EAGAIN : ENODEV);
    if (cam.head == cam.tail) return fail(EAGAIN);
    nanosleep(&t, 0);
    if (cam.next >= cam.end) cam.next = cam.frames;
    uint32_t i = cam.queue[cam.head++ % 64], flags, planes, lengths[8] = {0};
    memcpy(&flags, cam.next, 4);
    memcpy(&planes, cam.next + 4, 4);
    memcpy(lengths, cam.next + 8, 4 * planes);
    cam.next += 8 + 4 * planes;
    for (uint32_t n = 0; n < planes; n++) {
        memcpy(cam.memory + (size_t)LENGTH * (2 * i + n), cam.next, lengths[n]);
        cam.next += lengths[n];
        if (mplane()) b->m.planes[n].bytesused = lengths[n], b->m.planes[n].data_offset = 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    b->index = i; b->bytesused = lengths[0]; b->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | flags;
    b->sequence = cam.sent++; b->timestamp.tv_sec = t.tv_sec; b->timestamp.tv_usec = t.tv_nsec / 1000;
    return 0;
}

int ioctl(int fd, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    va_list a; va_start(a, request); void *p = va_arg(a, void *); va_end(a);
    if (!real) real = dlsym(RTLD_NEXT, "ioctl");
    if (fd != cam.fd || fd < 0) return real(fd, request, p);
    switch ((unsigned)request) {
    case (unsigned)VIDIOC_QUERYCAP: {
        struct v4l2_capability *c = p;
        memset(c, 0, sizeof *c);
        strcpy((char *)c->driver, cam.driver);
        strcpy((char *)c->card, "Pretended");
        c->device_caps = cam.caps;
        c->capabilities = cam.caps | V4L2_CAP_DEVICE_CAPS | V4L2_CAP_META_CAPTURE;
        return 0;
    }
    case (unsigned)VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *d = p;
        uint32_t seen = 0, index = d->index;
        for (int n = 0; n < cam.count; n++) {
            if (n && cam.formats[n].code == cam.formats[n - 1].code) continue;
            if (seen++ == index) { d->pixelformat = cam.formats[n].code; return 0; }
        }
        return fail(EINVAL);
    }
    case (unsigned)VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *s = p;
        uint32_t seen = 0;
        if (s->pixel_format == cam.steps[0]) {
            if (s->index) return fail(EINVAL);
            s->type = V4L2_FRMSIZE_TYPE_STEPWISE;
            memcpy(&s->stepwise, cam.steps + 1, 24);
            return 0;
        }
        for (int n = 0; cam.listed && n < cam.count; n++)
            if (cam.formats[n].code == s->pixel_format && seen++ == s->index) {
                s->type = V4L2_FRMSIZE_TYPE_DISCRETE;
                s->discrete.width = cam.formats[n].w;
                s->discrete.height = cam.formats[n].h;
                return 0;
            }
        return fail(EINVAL);
    }
    case (unsigned)VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *v = p;
        for (int n = 0; n < cam.count && !v->index; n++)
            if (cam.formats[n].code == v->pixel_format && cam.formats[n].w == v->width && cam.formats[n].fps) {
                v->type = V4L2_FRMIVAL_TYPE_DISCRETE;
                v->discrete.numerator = 1;
                v->discrete.denominator = cam.formats[n].fps;
                return 0;
            }
        return fail(EINVAL);
    }
    case (unsigned)VIDIOC_G_FMT: describe(p); return 0;
    case (unsigned)VIDIOC_S_FMT: choose(p); return 0;
    case (unsigned)VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *r = p;
        if (r->count > BUFFERS) r->count = BUFFERS;
        cam.head = cam.tail = 0;
        return 0;
    }
    case (unsigned)VIDIOC_QUERYBUF: {
        struct v4l2_buffer *b = p;
        size_t at = (size_t)LENGTH * 2 * b->index;
        if (mplane()) {
            b->length = cam.now.planes;
            for (uint32_t n = 0; n < cam.now.planes; n++)
                b->m.planes[n].length = LENGTH, b->m.planes[n].m.mem_offset = at + LENGTH * n;
        } else b->length = LENGTH, b->m.offset = at;
        return 0;
    }
    case (unsigned)VIDIOC_QBUF: cam.queue[cam.tail++ % 64] = ((struct v4l2_buffer *)p)->index; return 0;
    case (unsigned)VIDIOC_DQBUF: return dequeue(p);
    case (unsigned)VIDIOC_STREAMON:
        return cam.refuse && cam.refused == cam.now.code ? fail(cam.refuse) : 0;
    case (unsigned)VIDIOC_STREAMOFF: return 0;
    default: return fail(ENOTTY);
    }
}
