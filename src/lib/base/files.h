#ifndef BASE_FILES_H
#define BASE_FILES_H
/*
 * Files that survive a power cut: written under a temporary name, fsynced,
 * renamed, folder fsynced. Any thread (fsync blocks: large files belong on a
 * worker). Every file is made 0600, every folder 0700, descriptors CLOEXEC.
 */
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"

/* Make folder and parents; fine if it is there. */
enum outcome files_mkdir(const char *path, struct err *);

/*
 * A new, empty temporary file DIR/tmp.XXXXXX, open for reading and writing.
 * path_out is below ctx. What has this name when the daemon starts is swept.
 * Returns the descriptor or -1 with err. A full disk is RETRY for callers.
 */
int files_tmp(const void *ctx, const char *dir, char **path_out, struct err *);
/* Unlink every tmp.* in DIR (not its subfolders). */
void files_sweep_tmp(const char *dir);

/* Write all of it; -1 with errno. */
int files_write(int fd, const void *, size_t);
/* read() until len or end of file; the count, or -1 with errno. */
ssize_t files_read(int fd, void *, size_t len);
/* pread() likewise. */
ssize_t files_pread(int fd, void *, size_t len, uint64_t offset);

/*
 * fsync fd, rename tmp to path, fsync its folder; that, not more of them, is made when it is missing, and is durable
 * then, too. fd stays open; tmp may be left on failure.
 */
enum outcome files_keep(int fd, const char *tmp, const char *path, struct err *);
/* A nameless file in memory with these octets, to be read from its beginning; -1 with errno. */
int files_in_memory(struct bytes);
/* A file that is written already (files_put_lazily), and its name: durable from now on. -1 with errno. */
int files_sync(const char *path);
/* What a folder has: durable from now on, folders that another process made in passing as well. -1 with errno. */
int files_sync_folder(const char *path);
/* Unlink, fine if it is gone. */
void files_drop(const char *path);

/* A whole file by way of DIR/tmp.XXXXXX, not durable: for who can write it again after a crash. */
enum outcome files_put_lazily(const char *dir, const char *path, struct bytes, struct err *);
/* Replace a small file as a whole, durably. */
enum outcome files_put(const char *path, struct bytes, struct err *);
/* The same, with another mode than 0600 from its first moment on. */
enum outcome files_put_mode(const char *path, struct bytes, mode_t, struct err *);
/*
 * All of a small file, at most max octets, below ctx, NUL after. REJECT with errno ENOENT
 * when there is none, EFBIG when it is larger; else RETRY.
 */
enum outcome files_get(const void *ctx, const char *path, size_t max, struct bytes *out, struct err *);

/* DIR/ab/abcdef...: where the file with this content lives; below ctx. */
char *files_fanout(const void *ctx, const char *dir, const uint8_t digest[32]);

#endif
