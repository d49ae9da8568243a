/*
 * A file is either there as a whole after a power cut or not at all: the data
 * is synced before the name, the name before anybody is told. So is the name of
 * a new folder, also of one that was made in passing (files_put_lazily).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"

/* The folder a path lies in, below ctx. */
static char *parent_of(const void *ctx, const char *path)
{
	const char *slash = strrchr(path, '/');

	while (slash != NULL && slash > path && slash[-1] == '/')
		slash--;
	if (slash == NULL)
		return mem_strdup(ctx, ".");
	return slash == path ? mem_strdup(ctx, "/") : mem_strndup(ctx, path, (size_t)(slash - path));
}

int files_sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	int res = fsync(fd), saved = errno;

	close(fd);
	errno = saved;
	return res;
}

static int sync_parent(const char *path)
{
	char *parent = parent_of(NULL, path);
	int res = files_sync_folder(parent), saved = errno;

	talloc_free(parent);
	errno = saved;
	return res;
}

static enum outcome make_folder(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700) == 0) {
		if (sync_parent(path) == 0)
			return OK;
	} else if (errno == EEXIST) {
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			return OK;
		errno = ENOTDIR;
	}
	err_sys(e, "make folder %s", path);
	return RETRY;
}

enum outcome files_mkdir(const char *path, struct err *e)
{
	char *copy = mem_strdup(NULL, path);
	enum outcome res = OK;
	struct stat st;

	/* Parents may lie where we cannot even look up "mkdir": only the missing ones are made. */
	for (char *p = copy + 1; res == OK && *copy != '\0' && *p != '\0'; p++) {
		if (*p != '/' || p[1] == '/' || p[1] == '\0')
			continue;
		*p = '\0';
		if (stat(copy, &st) < 0)
			res = make_folder(copy, e);
		*p = '/';
	}
	if (res == OK)
		res = make_folder(copy, e);
	talloc_free(copy);
	return res;
}

int files_tmp(const void *ctx, const char *dir, char **path_out, struct err *e)
{
	char *path = mem_printf(ctx, "%s/tmp.XXXXXX", dir);
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0) {
		err_sys(e, "make a temporary file in %s", dir);
		talloc_free(path);
		return -1;
	}
	*path_out = path;
	return fd;
}

void files_sweep_tmp(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, "tmp.", 4) == 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
}

int files_write(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t files_read(int fd, void *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)out + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t files_pread(int fd, void *out, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)out + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Folders whose names are not on disk yet: the first file in one that has to last sees to it. */
static pthread_mutex_t new_lock = PTHREAD_MUTEX_INITIALIZER;
static char **new_folders;
static size_t n_new;

/* False with errno when it is not there then. */
static bool make_new(const char *folder)
{
	pthread_mutex_lock(&new_lock);
	bool made = mkdir(folder, 0700) == 0, there = made || errno == EEXIST;

	if (made) {
		new_folders = mem_resize(NULL, new_folders, char *, n_new + 1);
		new_folders[n_new++] = mem_strdup(NULL, folder);
	}
	pthread_mutex_unlock(&new_lock);
	return there;
}

/* Its place in the list; n_new when it is not one. Under the lock. */
static size_t find_new(const char *folder)
{
	size_t i = 0;

	while (i < n_new && strcmp(new_folders[i], folder) != 0)
		i++;
	return i;
}

/* Two may do it at once: that does not hurt, and nobody waits for the disk under the lock. */
static int sync_new(const char *folder)
{
	pthread_mutex_lock(&new_lock);
	bool is_new = find_new(folder) < n_new;

	pthread_mutex_unlock(&new_lock);
	if (!is_new)
		return 0;
	if (sync_parent(folder) < 0)
		return -1;
	pthread_mutex_lock(&new_lock);
	size_t i = find_new(folder);

	if (i < n_new) {
		talloc_free(new_folders[i]);
		new_folders[i] = new_folders[--n_new];
	}
	pthread_mutex_unlock(&new_lock);
	return 0;
}

/* rename, and once more when only the folder was missing. Nothing is synced. */
static enum outcome rename_into(const char *tmp, const char *path, struct err *e)
{
	if (rename(tmp, path) == 0)
		return OK;
	if (errno == ENOENT && access(tmp, F_OK) == 0) {
		char *parent = parent_of(NULL, path);
		bool there = make_new(parent);
		int saved = errno;

		talloc_free(parent);
		errno = saved;
		if (there && rename(tmp, path) == 0)
			return OK;
	}
	err_sys(e, "rename %s to %s", tmp, path);
	return RETRY;
}

/* Its name, and that of its folder. */
static int sync_names(const char *path)
{
	char *parent = parent_of(NULL, path);
	int res = files_sync_folder(parent) == 0 ? sync_new(parent) : -1, saved = errno;

	talloc_free(parent);
	errno = saved;
	return res;
}

int files_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	int res = fsync(fd), saved = errno;

	close(fd);
	errno = saved;
	return res < 0 ? res : sync_names(path);
}

enum outcome files_keep(int fd, const char *tmp, const char *path, struct err *e)
{
	if (fsync(fd) < 0) {
		err_sys(e, "sync %s", tmp);
		return RETRY;
	}
	enum outcome res = rename_into(tmp, path, e);

	if (res != OK)
		return res;
	if (sync_names(path) < 0) {
		err_sys(e, "sync the folder of %s", path);
		return RETRY;
	}
	return OK;
}

enum outcome files_put_lazily(const char *dir, const char *path, struct bytes b, struct err *e)
{
	char *tmp;
	int fd = files_tmp(NULL, dir, &tmp, e);

	if (fd < 0)
		return RETRY;
	enum outcome res = RETRY;

	if (files_write(fd, b.data, b.len) < 0)
		err_sys(e, "write %s", tmp);
	else
		res = rename_into(tmp, path, e);
	if (res != OK)
		files_drop(tmp);
	close(fd);
	talloc_free(tmp);
	return res;
}

int files_in_memory(struct bytes octets)
{
	int fd = memfd_create("octets", MFD_CLOEXEC);

	if (fd >= 0 && files_write(fd, octets.data, octets.len) == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

void files_drop(const char *path)
{
	unlink(path);
}

enum outcome files_put(const char *path, struct bytes b, struct err *e)
{
	return files_put_mode(path, b, S_IRUSR | S_IWUSR, e);
}

enum outcome files_put_mode(const char *path, struct bytes b, mode_t mode, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	char *dir = parent_of(ctx, path), *tmp = NULL;
	enum outcome res = files_mkdir(dir, e);
	int fd = res == OK ? files_tmp(ctx, dir, &tmp, e) : -1;

	if (fd < 0) {
		res = RETRY;
		goto out;
	}
	if (files_write(fd, b.data, b.len) < 0 || fchmod(fd, mode) < 0) {
		err_sys(e, "write %s", tmp);
		res = RETRY;
	} else {
		res = files_keep(fd, tmp, path, e);
	}
	if (res != OK)
		files_drop(tmp);
	close(fd);
out:
	talloc_free(ctx);
	return res;
}

/* Read one octet more than allowed, so that a file over max shows. */
static enum outcome read_whole(const void *ctx, int fd, size_t max, struct bytes *out)
{
	enum { BLOCK = 64 * 1024 };
	struct buf *b = buf_new(NULL, max);
	char *block = mem_array(b, char, BLOCK);
	enum outcome res = OK;
	ssize_t n;

	while (res == OK && (n = files_read(fd, block, BLOCK)) != 0) {
		if (n < 0) {
			res = RETRY;
		} else if (!buf_add(b, block, (size_t)n)) {
			errno = EFBIG;
			res = REJECT;
		}
	}
	int saved = errno;

	if (res == OK)
		*out = bytes_dup(ctx, buf_bytes(b));
	explicit_bzero(b->data, b->size);
	explicit_bzero(block, BLOCK);
	talloc_free(b);
	errno = saved;
	return res;
}

enum outcome files_get(const void *ctx, const char *path, size_t max, struct bytes *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum outcome res;

	if (fd < 0) {
		err_sys(e, "open %s", path);
		return errno == ENOENT ? REJECT : RETRY;
	}
	res = read_whole(ctx, fd, max, out);
	if (res != OK)
		err_sys(e, "read %s", path);
	int saved = errno;

	close(fd);
	errno = saved;
	return res;
}

char *files_fanout(const void *ctx, const char *dir, const uint8_t digest[32])
{
	char hex[DIGEST_HEX];

	hex_print(bytes_of(digest, DIGEST_LEN), hex);
	return mem_printf(ctx, "%s/%.2s/%s", dir, hex, hex);
}
