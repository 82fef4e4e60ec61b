/* A V4L2 camera without a driver that fails on request: LD_PRELOAD it.
 *
 * It answers open(2), ioctl(2) and close(2) of one device with YUYV pictures of moving noise. What it
 * is to do wrong stands in a file that both sides map, so that a sandbox that opens no file can be
 * told, too. A fault strikes the process that has the camera open; the next open(2) is well again,
 * unless the fault is one of opening.
 *
 * FAULTY_CONTROL  the file, at least one page      FAULTY_DEVICE  the device (/dev/video0)
 * FAULTY_WIDTH, FAULTY_HEIGHT, FAULTY_FPS          what it delivers (320, 240, 15)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum fault { NONE, HANG_READ, HANG_CLOSE, IGNORE_SIGTERM, ONE_FRAME, HALF_FRAME, WRONG_SIZE, CRASH,
             DESCRIPTORS, GREEN, HANG_OPEN, UNPLUGGED, EXIT, BLACK };
struct control {
  uint32_t fault;      /* written by the one that tries, and by the next open */
  uint32_t opens;      /* written here */
  uint32_t frames;     /* since the last open */
  uint32_t pid;        /* of the process that opened it last */
  uint32_t lasting;    /* not 0: an open does not mend it */
};
enum { BUFFERS = 4 };

static struct control *control;
static int camera = -1;
static uint8_t *memory;
static size_t length;
static unsigned width, height, queue[64], queued, taken;
static long period;
static uint32_t state = 0x12345678;

static unsigned number(const char *name, unsigned otherwise) {
  const char *given = getenv(name);
  return given ? (unsigned)atoi(given) : otherwise;
}

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("FAULTY_CONTROL");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) return;
  control = mapped;
  width = number("FAULTY_WIDTH", 320), height = number("FAULTY_HEIGHT", 240);
  period = 1000000000L / number("FAULTY_FPS", 15);
  length = (2ul * width * height + 4095) & ~4095ul;
}

static void for_ever(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  for (;;) pause();
}

static int open_camera(void) {
  if (control->fault == UNPLUGGED) { errno = ENODEV; return -1; }
  if (control->fault == HANG_OPEN) { if (!control->lasting) control->fault = NONE; for_ever(); }
  if (camera >= 0) { errno = EBUSY; return -1; }
  if (!control->lasting) control->fault = NONE;
  camera = memfd_create("faulty camera", MFD_CLOEXEC);
  if (camera < 0 || ftruncate(camera, (off_t)(length * BUFFERS))) return -1;
  memory = mmap(NULL, length * BUFFERS, PROT_READ | PROT_WRITE, MAP_SHARED, camera, 0);
  if (memory == MAP_FAILED) return -1;
  queued = taken = 0;
  control->frames = 0, control->pid = (uint32_t)getpid();
  __atomic_add_fetch(&control->opens, 1, __ATOMIC_SEQ_CST);
  return camera;
}

static int opened(const char *name, const char *path, int flags, unsigned mode) {
  const char *ours = getenv("FAULTY_DEVICE");
  if (control && !strcmp(path, ours ? ours : "/dev/video0")) return open_camera();
  int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
  return next(path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  unsigned mode = va_arg(rest, unsigned);
  va_end(rest);
  return opened("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  unsigned mode = va_arg(rest, unsigned);
  va_end(rest);
  return opened("open64", path, flags, mode);
}

int close(int descriptor) {
  static int (*next)(int);
  if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "close");
  if (descriptor >= 0 && descriptor == camera) {
    if (control->fault == HANG_CLOSE) for_ever();
    munmap(memory, length * BUFFERS);
    camera = -1;
  }
  return next(descriptor);
}

/* Grey ramps that move, with noise as a sensor has it. */
static void paint(uint8_t *out, unsigned frame) {
  for (unsigned y = 0; y < height; y++)
    for (unsigned x = 0; x < width; x++, out += 2) {
      state ^= state << 13, state ^= state >> 17, state ^= state << 5;
      out[0] = (uint8_t)(40 + ((x + y + frame) & 127) + (state & 7));
      out[1] = 128;
    }
}

static int take(struct v4l2_buffer *buffer) {
  struct timespec now = {0, period};
  nanosleep(&now, NULL);
  uint32_t fault = control->fault;
  if (fault == HANG_READ) for_ever();
  if (fault == IGNORE_SIGTERM) for (signal(SIGTERM, SIG_IGN);;) ;
  if (fault == CRASH) raise(SIGSEGV), _exit(1);
  if (fault == EXIT) _exit(0);
  if (fault == DESCRIPTORS) { while (dup(camera) >= 0) ; for_ever(); }
  if (fault == HANG_CLOSE || fault == HANG_OPEN || fault == UNPLUGGED) { errno = ENODEV; return -1; }
  if (queued == taken) { errno = EAGAIN; return -1; }
  unsigned index = queue[taken++ % 64], size = 2 * width * height;
  uint8_t *out = memory + index * length;
  if (fault == GREEN) memset(out, 0, size);
  else if (fault == BLACK) for (unsigned at = 0; at < size; at++) out[at] = at & 1 ? 128 : 16;
  else if (fault == ONE_FRAME) state = 0x12345678, paint(out, 0);
  else paint(out, control->frames);
  control->frames++;
  memset(buffer, 0, sizeof *buffer);
  clock_gettime(CLOCK_MONOTONIC, &now);
  buffer->index = index, buffer->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
  buffer->memory = V4L2_MEMORY_MMAP, buffer->field = V4L2_FIELD_NONE;
  buffer->bytesused = fault == HALF_FRAME ? size / 2 : fault == WRONG_SIZE ? 2 * 32 * 24 : size;
  buffer->length = (uint32_t)length, buffer->m.offset = (uint32_t)(index * length);
  buffer->sequence = control->frames, buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
  buffer->timestamp.tv_sec = now.tv_sec, buffer->timestamp.tv_usec = now.tv_nsec / 1000;
  return 0;
}

static int describe(struct v4l2_pix_format *format) {
  memset(format, 0, sizeof *format);
  format->width = width, format->height = height, format->pixelformat = V4L2_PIX_FMT_YUYV;
  format->bytesperline = 2 * width, format->sizeimage = 2 * width * height;
  format->field = V4L2_FIELD_NONE;
  return 0;
}

static int answer(unsigned request, void *given) {
  struct v4l2_capability *capability = given;
  struct v4l2_fmtdesc *form = given;
  struct v4l2_streamparm *stream = given;
  struct v4l2_requestbuffers *asked = given;
  struct v4l2_buffer *buffer = given;
  switch (request) {
  case (unsigned)VIDIOC_QUERYCAP:
    memset(capability, 0, sizeof *capability);
    strcpy((char *)capability->driver, "faulty");
    strcpy((char *)capability->card, "faulty");
    capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
  case (unsigned)VIDIOC_G_INPUT: *(int *)given = 0; return 0;
  case (unsigned)VIDIOC_S_INPUT: return 0;
  case (unsigned)VIDIOC_ENUMINPUT:
    if (((struct v4l2_input *)given)->index == 0) return 0;
    break;
  case (unsigned)VIDIOC_ENUM_FMT:
    if (form->index) break;
    form->pixelformat = V4L2_PIX_FMT_YUYV;
    return 0;
  case (unsigned)VIDIOC_G_FMT: case (unsigned)VIDIOC_S_FMT: case (unsigned)VIDIOC_TRY_FMT:
    return describe(&((struct v4l2_format *)given)->fmt.pix);
  case (unsigned)VIDIOC_G_PARM: case (unsigned)VIDIOC_S_PARM:
    stream->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
    stream->parm.capture.timeperframe.numerator = 1;
    stream->parm.capture.timeperframe.denominator = (uint32_t)(1000000000L / period);
    return 0;
  case (unsigned)VIDIOC_REQBUFS: if (asked->count > BUFFERS) asked->count = BUFFERS; return 0;
  case (unsigned)VIDIOC_QUERYBUF:
    buffer->length = (uint32_t)length, buffer->m.offset = (uint32_t)(buffer->index * length);
    return 0;
  case (unsigned)VIDIOC_QBUF: queue[queued++ % 64] = buffer->index; return 0;
  case (unsigned)VIDIOC_DQBUF: return take(buffer);
  case (unsigned)VIDIOC_STREAMON: case (unsigned)VIDIOC_STREAMOFF: return 0;
  }
  errno = EINVAL;
  return -1;
}

int ioctl(int descriptor, unsigned long request, ...) {
  static int (*next)(int, unsigned long, ...);
  if (!next) next = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
  va_list rest;
  va_start(rest, request);
  void *given = va_arg(rest, void *);
  va_end(rest);
  if (descriptor < 0 || descriptor != camera) return next(descriptor, request, given);
  return answer((unsigned)request, given);
}
