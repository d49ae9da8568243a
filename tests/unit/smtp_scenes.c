/*
 * tests/scenes/smtp-*.scene (see the README there) to the steps that play()
 * takes. They are read before any test runs, so what is wrong with a file ends
 * the program. Octets of NUL do not fit a string, so escapes stay until a step
 * is sent.
 */
#include "unit/smtp_host.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENE_LINE = 4096 };

struct scene_file scene_files[SCENE_MAX];
int n_scene_files;

static void scene_fail(const char *place, const char *what)
{
	fprintf(stderr, "%s: %s\n", place, what);
	exit(EXIT_FAILURE);
}

static int scene_octet(const char **at)
{
	static const char letters[] = "rn0\\", octets[] = "\r\n\0\\";
	const char *letter = strchr(letters, *++*at);

	if (**at && letter)
		return octets[letter - letters];
	if (**at != 'x' || strspn(*at + 1, "0123456789abcdef") < 2)
		scene_fail(*at, "unknown escape");
	const char hex[3] = { (*at)[1], (*at)[2], '\0' };
	*at += 2;
	return (int)strtol(hex, NULL, 16);
}

/* "X N text", "U text". */
void scene_send(struct buf *out, const char *step)
{
	char *text = NULL, octets[SCENE_LINE] = "";
	size_t times = *step == 'X' ? strtoul(step + 2, &text, 10) : 1, n = 0;

	for (const char *c = text ? text + 1 : step + 2; *c; c++)
		octets[n++] = *c == '\\' ? (char)scene_octet(&c) : *c;
	while (times-- > 0)
		buf_add(out, octets, n);
}

static void scene_add(const char *step)
{
	size_t n = scene_files[n_scene_files - 1].n++;

	scene_files[n_scene_files - 1].steps = mem_resize(NULL, scene_files[n_scene_files - 1].steps, const char *, n + 2);
	scene_files[n_scene_files - 1].steps[n] = step;
	scene_files[n_scene_files - 1].steps[n + 1] = NULL;
}

static void scene_line(const char *place, const char *line)
{
	static const char *const login[] = { LOGIN, NULL }, *const envelope[] = { ENVELOPE, NULL };
	const char *const *macro = strcmp(line, "LOGIN") == 0 ? login : strcmp(line, "ENVELOPE") == 0 ? envelope : NULL;
	size_t times = 1;

	for (; macro && *macro; macro++)
		scene_add(*macro);
	if (strcmp(line, "LOGIN") == 0 || strcmp(line, "ENVELOPE") == 0)
		return;
	char *rest, *text = strchr(line, ':');
	if (n_scene_files == 0 || !text || !strchr("CSREX", line[0]))
		scene_fail(place, "no step");
	text += 1 + (text[1] == ' ');
	if (line[1] == '*') {
		times = strtoul(text, &rest, 10);
		text = rest + 1;
	}
	const char *step = mem_printf(NULL, "%c %s", line[0] == 'R' ? 'U' : line[0], text);
	while (times-- > 0)
		scene_add(step);
}

static void scene_read(const char *path)
{
	char line[SCENE_LINE];
	FILE *f = fopen(path, "r");

	if (!f)
		scene_fail(path, "cannot be read");
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "== ", 3) == 0 && n_scene_files < SCENE_MAX)
			scene_files[n_scene_files++].name = mem_printf(NULL, "%s: %s", strrchr(path, '/') + 1, line + 3);
		else if (*line && *line != '#')
			scene_line(path, line);
	}
	fclose(f);
}

void scenes_load(void)
{
	const char *top = getenv("srcdir");
	char *pattern = mem_printf(NULL, "%s/tests/scenes/smtp-*.scene", top ? top : ".");
	glob_t found;

	if (glob(pattern, 0, NULL, &found) != 0)
		scene_fail(pattern, "no scenes");
	for (size_t i = 0; i < found.gl_pathc; i++)
		scene_read(found.gl_pathv[i]);
	globfree(&found);
	talloc_free(pattern);
}
