/*
 * LD_PRELOAD: a disk that needs SLOW_DISK_MS milliseconds for each sync. The
 * file SLOW_DISK_COUNT grows by an octet with each fdatasync().
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <dlfcn.h>

static int slowly(const char *name, int fd)
{
	const char *ms = getenv("SLOW_DISK_MS");
	long left = ms ? atol(ms) : 0;
	int (*really)(int) = (int (*)(int))(uintptr_t)dlsym(RTLD_NEXT, name);

	nanosleep(&(struct timespec){ left / 1000, left % 1000 * 1000000 }, NULL);
	return really(fd);
}

int fsync(int fd)
{
	return slowly("fsync", fd);
}

static void count(void)
{
	const char *file = getenv("SLOW_DISK_COUNT");
	int fd = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd >= 0 && write(fd, ".", 1) == 1)
		close(fd);
}

int fdatasync(int fd)
{
	count();
	return slowly("fdatasync", fd);
}

int syncfs(int fd)
{
	return slowly("syncfs", fd);
}
