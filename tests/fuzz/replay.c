/*
 * Feeds a fuzz target its whole corpus, and every file of it cut short at a
 * few places, as a plain test. libFuzzer's stand-in: a target links with this
 * or with -fsanitize=fuzzer and does not know which.
 *
 * usage: fuzz_NAME [FILE...]; without files tests/fuzz/corpus/NAME below $srcdir
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* A copy of exactly this size each time, so that a sanitizer sees one octet too many. */
static void feed(const char *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void feed_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;

	if (!f || fstat(fileno(f), &st) < 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	size_t size = (size_t)st.st_size;
	char *data = malloc(size + 1);
	if (!data || fread(data, 1, size, f) != size) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	fclose(f);
	feed(data, size);
	for (unsigned eighths = 0; eighths < 8; eighths++)
		feed(data, size * eighths / 8);
	free(data);
}

static unsigned feed_folder(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	if (!dir) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		char file[8192];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		feed_file(file);
		n++;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	const char *top = getenv("srcdir");
	const char *name = strstr(argv[0], "fuzz_");
	char folder[4096];

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			feed_file(argv[i]);
		return EXIT_SUCCESS;
	}
	if (!name)
		return EXIT_FAILURE;
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", top ? top : ".", name + strlen("fuzz_"));
	if (feed_folder(folder) == 0) {
		fprintf(stderr, "%s: empty\n", folder);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
