/* Stands between a process and libc, and ends the process, or fails the call, at the n-th change of a file.
 *
 * Loaded by LD_PRELOAD, so that what SQLite, NumPy and Annoy do to files goes through it as what Python does. A change
 * is a call that creates, writes, cuts, syncs, renames, links or removes below the armed folder; each is a point, in the
 * order of the calls. What is written through a mapping is no call: SQLite's -shm, which is no durable state, and the
 * forest of Annoy, whose ftruncate and fsync are points.
 *
 * While armed, nothing is really synced: a process that stops loses nothing of what it wrote. POWER_LOSS keeps what a
 * machine that stops would keep instead (see `keep`).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum mode { COUNT, STOP_BEFORE, STOP_HALFWAY, NO_SPACE, POWER_LOSS };
enum verdict { GO, REFUSE, HALF };

#define STOPPED 137
#define MAX_POINTS 100000
/* What a full disk refuses: creating, writing, making folders, renaming, linking. It lets a file grow by ftruncate, and
 * kills who then writes to it through a mapping. */
#define NEEDS_SPACE "cwbmrl"

static atomic_int armed;
static enum mode mode;
static long stop_at;
static atomic_long seen;
static char kinds[MAX_POINTS + 1];
static char folder[PATH_MAX];
static size_t folder_length;
static char image[PATH_MAX / 2];
static atomic_long removed;
static atomic_long clock_offset;
static atomic_long delay_microseconds;

void faults_arm(const char *below, int how, long number, const char *durable_image)
{
	snprintf(folder, sizeof folder, "%s", below);
	snprintf(image, sizeof image, "%s", durable_image);
	folder_length = strlen(folder);
	memset(kinds, 0, sizeof kinds);
	mode = how;
	stop_at = number;
	seen = 0;
	armed = 1;
}

void faults_disarm(void) { armed = 0; }
const char *faults_kinds(void) { return kinds; }
void faults_set_clock(long seconds) { clock_offset = seconds; }
void faults_set_delay(long microseconds) { delay_microseconds = microseconds; }

static enum verdict point(char kind)
{
	long number = atomic_fetch_add(&seen, 1) + 1;
	if (number <= MAX_POINTS)
		kinds[number - 1] = kind;
	if (delay_microseconds)
		usleep(delay_microseconds);
	if (mode == NO_SPACE && number >= stop_at && strchr(NEEDS_SPACE, kind)) {
		errno = ENOSPC;
		return REFUSE;
	}
	if (number != stop_at || mode == COUNT || mode == NO_SPACE)
		return GO;
	if (mode == STOP_HALFWAY && kind == 'w')
		return HALF;
	_exit(STOPPED);
}

/* A single byte cannot be half written. */
static char kind_of(size_t length) { return length < 2 ? 'b' : 'w'; }

static bool absolute(int directory, const char *path, char *into)
{
	if (path[0] == '/') {
		snprintf(into, PATH_MAX, "%s", path);
		return true;
	}
	char link[64] = "/proc/self/cwd";
	if (directory != AT_FDCWD)
		snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
	int saved = errno;
	ssize_t length = readlink(link, into, PATH_MAX - 1);
	errno = saved;
	if (length < 0)
		return false;
	snprintf(into + length, PATH_MAX - length, "%s%s", path[0] ? "/" : "", path);
	return true;
}

static bool watched(int directory, const char *path)
{
	char whole[PATH_MAX];
	if (!armed || !absolute(directory, path, whole) || strncmp(whole, folder, folder_length) != 0)
		return false;
	return whole[folder_length] == '/' || whole[folder_length] == '\0';
}

/* What survives when the machine stops is, at worst, what was synced: of a file its bytes, of a folder its names. Each
 * is kept in the image under its inode when it is synced. So that no inode is given twice, what would be removed is
 * moved into the image's folder "removed". */
static void keep(int descriptor)
{
	struct stat status;
	char path[PATH_MAX], here[64];
	fstat(descriptor, &status);
	snprintf(path, sizeof path, "%s/%lu", image, (unsigned long)status.st_ino);
	int target = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	snprintf(here, sizeof here, "/proc/self/fd/%d", descriptor);
	if (S_ISDIR(status.st_mode)) {
		DIR *names = opendir(here);
		for (struct dirent *entry; names && (entry = readdir(names));)
			if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
				dprintf(target, "%lu %c %s\n", (unsigned long)entry->d_ino, entry->d_type == DT_DIR ? 'd' : 'f',
					entry->d_name);
		closedir(names);
	} else {
		char block[65536];
		int source = syscall(SYS_openat, AT_FDCWD, here, O_RDONLY);
		for (ssize_t length; (length = read(source, block, sizeof block)) > 0;)
			syscall(SYS_write, target, block, length);
		close(source);
	}
	close(target);
}

static void bury(int directory, const char *path)
{
	char grave[PATH_MAX];
	snprintf(grave, sizeof grave, "%s/removed/%ld", image, atomic_fetch_add(&removed, 1));
	syscall(SYS_renameat2, directory, path, AT_FDCWD, grave, 0);
}

static int open_at(int directory, const char *path, int flags, mode_t permissions)
{
	if (flags & (O_CREAT | O_TRUNC) && watched(directory, path)) {
		struct stat status;
		bool there = fstatat(directory, path, &status, 0) == 0;
		if (!there && (flags & O_CREAT) && point('c') == REFUSE)
			return -1;
		if (there && (flags & O_TRUNC) && status.st_size > 0)
			point('t');
	}
	return syscall(SYS_openat, directory, path, flags, permissions);
}

#define PERMISSIONS(flags)                                                                                             \
	mode_t permissions = 0;                                                                                        \
	if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                 \
		va_list rest;                                                                                          \
		va_start(rest, flags);                                                                                 \
		permissions = va_arg(rest, mode_t);                                                                    \
		va_end(rest);                                                                                          \
	}

int open(const char *path, int flags, ...)
{
	PERMISSIONS(flags)
	return open_at(AT_FDCWD, path, flags, permissions);
}

int openat(int directory, const char *path, int flags, ...)
{
	PERMISSIONS(flags)
	return open_at(directory, path, flags, permissions);
}

int creat(const char *path, mode_t permissions)
{
	return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, permissions);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int directory, const char *path, int flags, ...) __attribute__((alias("openat")));
int creat64(const char *path, mode_t permissions) __attribute__((alias("creat")));

ssize_t write(int descriptor, const void *bytes, size_t length)
{
	enum verdict verdict = watched(descriptor, "") ? point(kind_of(length)) : GO;
	if (verdict == REFUSE)
		return -1;
	ssize_t written = syscall(SYS_write, descriptor, bytes, verdict == HALF ? length / 2 : length);
	if (verdict == HALF)
		_exit(STOPPED);
	return written;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset)
{
	enum verdict verdict = watched(descriptor, "") ? point(kind_of(length)) : GO;
	if (verdict == REFUSE)
		return -1;
	ssize_t written = syscall(SYS_pwrite64, descriptor, bytes, verdict == HALF ? length / 2 : length, offset);
	if (verdict == HALF)
		_exit(STOPPED);
	return written;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off_t offset) __attribute__((alias("pwrite")));

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
	enum verdict verdict = watched(descriptor, "") ? point('w') : GO;
	if (verdict == REFUSE)
		return -1;
	ssize_t written = syscall(SYS_writev, descriptor, parts, verdict == HALF ? (count + 1) / 2 : count);
	if (verdict == HALF)
		_exit(STOPPED);
	return written;
}

/* libc's own buffers reach the file past `write`; NumPy writes arrays so. */
size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream)
{
	static size_t (*next)(const void *, size_t, size_t, FILE *);
	if (!next)
		next = (size_t(*)(const void *, size_t, size_t, FILE *))dlsym(RTLD_NEXT, "fwrite");
	enum verdict verdict = watched(fileno(stream), "") ? point('w') : GO;
	if (verdict == REFUSE)
		return 0;
	if (verdict == HALF) {
		next(bytes, 1, size * count / 2, stream);
		fflush(stream);
		_exit(STOPPED);
	}
	return next(bytes, size, count, stream);
}

int fsync(int descriptor)
{
	if (!watched(descriptor, ""))
		return syscall(SYS_fsync, descriptor);
	point('s');
	if (mode == POWER_LOSS)
		keep(descriptor);
	return 0;
}

int fdatasync(int descriptor)
{
	return watched(descriptor, "") ? fsync(descriptor) : syscall(SYS_fdatasync, descriptor);
}

int ftruncate(int descriptor, off_t length)
{
	if (watched(descriptor, ""))
		point('t');
	return syscall(SYS_ftruncate, descriptor, length);
}

int ftruncate64(int descriptor, off_t length) __attribute__((alias("ftruncate")));

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned int flags)
{
	if (watched(to_directory, to)) {
		if (point('r') == REFUSE)
			return -1;
		struct stat status;
		if (mode == POWER_LOSS && fstatat(to_directory, to, &status, 0) == 0 && S_ISREG(status.st_mode))
			bury(to_directory, to);
	}
	return syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	return renameat2(from_directory, from, to_directory, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags)
{
	if (watched(to_directory, to) && point('l') == REFUSE)
		return -1;
	return syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int directory, const char *path, int flags)
{
	struct stat status;
	if (watched(directory, path) && fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0) {
		point('u');
		if (mode == POWER_LOSS) {
			bury(directory, path);
			return 0;
		}
	}
	return syscall(SYS_unlinkat, directory, path, flags);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int directory, const char *path, mode_t permissions)
{
	struct stat status;
	if (watched(directory, path) && fstatat(directory, path, &status, 0) != 0 && point('m') == REFUSE)
		return -1;
	return syscall(SYS_mkdirat, directory, path, permissions);
}

int mkdir(const char *path, mode_t permissions) { return mkdirat(AT_FDCWD, path, permissions); }

int clock_gettime(clockid_t which, struct timespec *now)
{
	int result = syscall(SYS_clock_gettime, which, now);
	if (result == 0 && which == CLOCK_REALTIME)
		now->tv_sec += clock_offset;
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	(void)zone;
	struct timespec exact;
	clock_gettime(CLOCK_REALTIME, &exact);
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *into)
{
	struct timespec exact;
	clock_gettime(CLOCK_REALTIME, &exact);
	if (into)
		*into = exact.tv_sec;
	return exact.tv_sec;
}
