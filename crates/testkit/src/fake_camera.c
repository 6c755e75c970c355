/* A V4L2 camera that is not there: preloaded into a process, it answers for one device path.
 *
 * FAKE_CAMERA_PATH names a plain file that stands for the device node. While the file is missing the camera
 * is unplugged; its first letter says how the camera behaves: b(usy), r(efused), s(ilent), else it delivers
 * YUYV at 30 frames a second with the frame number and clock burnt into the luma. Buffers live in a memfd,
 * so mmap and close need no answer of ours. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <linux/videodev2.h>

enum { BUFFERS = 4, FPS = 30, COLUMNS = 64, ROWS = 2, PAYLOAD = 60 };
static const struct { uint32_t width, height; } SIZES[] = { { 640, 480 }, { 1280, 720 } };
#define BUFFER_BYTES (1280u * 720u * 2u)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int fd = -1;
static int gone;
static uint8_t *memory;
static uint32_t width = 640, height = 480;
static int queued[BUFFERS], queue_length, streaming;
static int64_t started_ns;
static uint32_t first_frame, next_frame;

static int (*real_open)(const char *, int, ...);
static int (*real_poll)(struct pollfd *, nfds_t, int);
static int (*real_close)(int);
static long (*real_syscall)(long, ...);

static void resolve(void)
{
    if (real_syscall)
        return;
    real_open = dlsym(RTLD_NEXT, "open");
    real_poll = dlsym(RTLD_NEXT, "poll");
    real_close = dlsym(RTLD_NEXT, "close");
    real_syscall = dlsym(RTLD_NEXT, "syscall");
}

static const char *device_path(void)
{
    const char *path = getenv("FAKE_CAMERA_PATH");
    return path ? path : "";
}

/* 0 where the file is missing. */
static char state(void)
{
    resolve();
    char letter = 'p';
    int file = real_open(device_path(), O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    if (read(file, &letter, 1) != 1)
        letter = 'p';
    real_close(file);
    return letter;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int64_t due_ns(uint32_t frame)
{
    return started_ns + (int64_t)(frame - first_frame) * 1000000000ll / FPS;
}

/* The strip of crates/media/src/burn_in.rs, written from its description. */
static void strip_bytes(uint8_t bytes[15], uint32_t frame)
{
    uint64_t micros = (uint64_t)(now_ns(CLOCK_REALTIME) / 1000);
    memset(bytes, 0, 15);
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(frame >> (24 - 8 * i));
    for (int i = 0; i < 6; i++)
        bytes[4 + i] = (uint8_t)(micros >> (40 - 8 * i));
    uint16_t crc = 0xffff;
    for (int i = 0; i < 13; i++) {
        crc ^= (uint16_t)(bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1);
    }
    bytes[13] = (uint8_t)(crc >> 8);
    bytes[14] = (uint8_t)crc;
}

static int is_white(const uint8_t bytes[15], uint32_t row, uint32_t column)
{
    if (column == 0 || column == 62)
        return 1;
    if (column == 1 || column == 63)
        return 0;
    uint32_t bit = row * PAYLOAD + column - 2;
    return (bytes[bit / 8] & (0x80 >> (bit % 8))) != 0;
}

static void draw(uint8_t *yuyv, uint32_t frame)
{
    uint8_t bytes[15];
    strip_bytes(bytes, frame);
    uint32_t strip = (width * ROWS + COLUMNS - 1) / COLUMNS;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *pixel = yuyv + (y * width + x) * 2;
            uint32_t row = y * COLUMNS / width;
            if (y < strip) {
                pixel[0] = is_white(bytes, row < ROWS ? row : ROWS - 1, x * COLUMNS / width) ? 235 : 16;
                pixel[1] = 128;
            } else {
                pixel[0] = (uint8_t)(16 + (x + y + frame * 4) % 200);
                pixel[1] = (uint8_t)(x & 1 ? 90 : 160);
            }
        }
    }
}

static int answer_formats(unsigned long request, void *argument)
{
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *caps = argument;
        memset(caps, 0, sizeof *caps);
        strcpy((char *)caps->driver, "fake");
        strcpy((char *)caps->card, "Fake camera");
        strcpy((char *)caps->bus_info, "platform:fake");
        caps->version = 0x060000;
        caps->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        caps->capabilities = caps->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *format = argument;
        if (format->index > 0)
            return EINVAL;
        format->flags = 0;
        strcpy((char *)format->description, "YUYV 4:2:2");
        format->pixelformat = V4L2_PIX_FMT_YUYV;
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *size = argument;
        if (size->index >= sizeof SIZES / sizeof SIZES[0] || size->pixel_format != V4L2_PIX_FMT_YUYV)
            return EINVAL;
        size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        size->discrete.width = SIZES[size->index].width;
        size->discrete.height = SIZES[size->index].height;
        return 0;
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *interval = argument;
        if (interval->index > 0)
            return EINVAL;
        interval->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        interval->discrete.numerator = 1;
        interval->discrete.denominator = FPS;
        return 0;
    }
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT:
    case VIDIOC_G_FMT: {
        struct v4l2_format *format = argument;
        if (request == VIDIOC_S_FMT) {
            int large = format->fmt.pix.width > 640;
            width = SIZES[large].width;
            height = SIZES[large].height;
        }
        memset(&format->fmt.pix, 0, sizeof format->fmt.pix);
        format->fmt.pix.width = width;
        format->fmt.pix.height = height;
        format->fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
        format->fmt.pix.field = V4L2_FIELD_NONE;
        format->fmt.pix.bytesperline = width * 2;
        format->fmt.pix.sizeimage = width * height * 2;
        return 0;
    }
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *parameters = argument;
        memset(&parameters->parm, 0, sizeof parameters->parm);
        parameters->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        parameters->parm.capture.timeperframe.numerator = 1;
        parameters->parm.capture.timeperframe.denominator = FPS;
        return 0;
    }
    default:
        return EINVAL;
    }
}

static void describe(struct v4l2_buffer *buffer)
{
    buffer->length = width * height * 2;
    buffer->m.offset = buffer->index * BUFFER_BYTES;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | V4L2_BUF_FLAG_MAPPED;
    buffer->field = V4L2_FIELD_NONE;
}

static int dequeue(struct v4l2_buffer *buffer)
{
    int64_t now = now_ns(CLOCK_MONOTONIC);
    if (!streaming || queue_length == 0)
        return EINVAL;
    if (state() == 's' || now < due_ns(next_frame))
        return EAGAIN;
    /* A reader that comes late misses frames, as with a sensor. */
    while (now >= due_ns(next_frame + 1))
        next_frame++;
    buffer->index = (uint32_t)queued[0];
    memmove(queued, queued + 1, sizeof(int) * (size_t)--queue_length);
    describe(buffer);
    draw(memory + buffer->index * BUFFER_BYTES, next_frame);
    buffer->bytesused = buffer->length;
    buffer->sequence = next_frame - first_frame;
    buffer->timestamp.tv_sec = due_ns(next_frame) / 1000000000ll;
    buffer->timestamp.tv_usec = due_ns(next_frame) / 1000 % 1000000;
    next_frame++;
    return 0;
}

static int answer_stream(unsigned long request, void *argument)
{
    struct v4l2_buffer *buffer = argument;
    switch (request) {
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = argument;
        wanted->count = wanted->count > BUFFERS ? BUFFERS : wanted->count;
        queue_length = 0;
        return 0;
    }
    case VIDIOC_QUERYBUF:
        if (buffer->index >= BUFFERS)
            return EINVAL;
        describe(buffer);
        return 0;
    case VIDIOC_QBUF:
        if (buffer->index >= BUFFERS || queue_length >= BUFFERS)
            return EINVAL;
        queued[queue_length++] = (int)buffer->index;
        return 0;
    case VIDIOC_DQBUF:
        return dequeue(buffer);
    case VIDIOC_STREAMON:
        streaming = 1;
        started_ns = now_ns(CLOCK_MONOTONIC);
        first_frame = next_frame;
        return 0;
    case VIDIOC_STREAMOFF:
        streaming = 0;
        queue_length = 0;
        return 0;
    default:
        return answer_formats(request, argument);
    }
}

static int answer(unsigned long request, void *argument)
{
    pthread_mutex_lock(&lock);
    gone = gone || state() == 0;
    int error = gone ? ENODEV : answer_stream(request & 0xffffffffu, argument);
    pthread_mutex_unlock(&lock);
    errno = error;
    return error ? -1 : 0;
}

static int open_device(void)
{
    int error = 0;
    pthread_mutex_lock(&lock);
    char how = state();
    if (how == 0)
        error = ENOENT;
    else if (how == 'b' || fd >= 0)
        error = EBUSY;
    else if (how == 'r')
        error = EACCES;
    if (!error) {
        fd = memfd_create("fake camera", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, BUFFERS * (off_t)BUFFER_BYTES) < 0)
            error = errno;
        memory = mmap(NULL, BUFFERS * (size_t)BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        gone = streaming = queue_length = 0;
    }
    int opened = error ? -1 : fd;
    pthread_mutex_unlock(&lock);
    errno = error;
    return opened;
}

static int open_any(const char *path, int flags, mode_t mode)
{
    resolve();
    if (*device_path() && strcmp(path, device_path()) == 0)
        return open_device();
    return real_open(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_any(path, flags | O_LARGEFILE, mode);
}

int close(int which)
{
    resolve();
    pthread_mutex_lock(&lock);
    if (which >= 0 && which == fd) {
        munmap(memory, BUFFERS * (size_t)BUFFER_BYTES);
        fd = -1;
    }
    pthread_mutex_unlock(&lock);
    return real_close(which);
}

int ioctl(int which, unsigned long request, ...)
{
    resolve();
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (which >= 0 && which == fd)
        return answer(request, argument);
    return (int)real_syscall(SYS_ioctl, which, request, argument);
}

/* Rust's V4L2 bindings call ioctl by its number. */
long syscall(long number, ...)
{
    resolve();
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_ioctl && a[0] >= 0 && (int)a[0] == fd)
        return answer((unsigned long)a[1], (void *)a[2]);
    return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    resolve();
    if (count != 1 || fd < 0 || fds[0].fd != fd)
        return real_poll(fds, count, timeout);
    int64_t limit = timeout < 0 ? INT64_MAX : now_ns(CLOCK_MONOTONIC) + timeout * 1000000ll;
    for (;;) {
        pthread_mutex_lock(&lock);
        int64_t now = now_ns(CLOCK_MONOTONIC);
        char how = state();
        gone = gone || how == 0;
        int64_t due = how == 's' ? INT64_MAX : due_ns(next_frame);
        int is_gone = gone;
        pthread_mutex_unlock(&lock);
        if (is_gone || now >= due) {
            fds[0].revents = is_gone ? POLLERR | POLLHUP : POLLIN;
            return 1;
        }
        if (now >= limit) {
            fds[0].revents = 0;
            return 0;
        }
        /* Wakes for the frame, the caller's limit, or to look whether it was unplugged. */
        int64_t until = due < limit ? due : limit;
        int64_t wait = until - now < 20000000ll ? until - now : 20000000ll;
        struct timespec span = { wait / 1000000000ll, wait % 1000000000ll };
        nanosleep(&span, NULL);
    }
}
