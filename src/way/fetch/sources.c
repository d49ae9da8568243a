/*
 * Every source has a level, and only those of the best level that is left are
 * asked. Faults that go on without anything right in between end a source for this
 * transfer, so a pull ends however many there are and whatever they do.
 */
#include <string.h>

#include "lib/base/mem.h"
#include "way/fetch/sources.h"

/* The smaller, the better; only the best that are left are asked. */
enum level { LEVEL_GOOD, LEVEL_SHUNNED, LEVEL_LEFT, LEVEL_NONE };

struct shunned {
	struct shun {
		char *url;
		int64_t until_ms;
	} list[MAX_SHUNNED];
	size_t next;			/* the oldest */
};

struct shunned *shunned_new(const void *ctx)
{
	return mem_zero(ctx, struct shunned);
}

static struct shun *shun_find(struct shunned *s, const char *url)
{
	for (size_t i = 0; i < MAX_SHUNNED; i++)
		if (s->list[i].url != NULL && strcmp(s->list[i].url, url) == 0)
			return &s->list[i];
	return NULL;
}

void shunned_add(struct shunned *s, const char *url, int64_t now_ms)
{
	struct shun *shun = shun_find(s, url);

	if (shun == NULL) {
		shun = &s->list[s->next];
		s->next = (s->next + 1) % MAX_SHUNNED;
		talloc_free(shun->url);
		shun->url = mem_strdup(s, url);
	}
	shun->until_ms = now_ms + SHUN_MS;
}

bool shunned_has(const struct shunned *s, const char *url, int64_t now_ms)
{
	for (size_t i = 0; i < MAX_SHUNNED; i++)
		if (s->list[i].url != NULL && strcmp(s->list[i].url, url) == 0)
			return now_ms < s->list[i].until_ms;
	return false;
}

static bool is_known(const struct sources *s, const char *url)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->list[i].url, url) == 0)
			return true;
	return false;
}

void sources_add(struct sources *s, const struct fetch_source *source, bool shunned)
{
	if (s->n == MAX_SOURCES || is_known(s, source->url))
		return;
	s->list[s->n++] = (struct source){
		.url = mem_strdup(s, source->url), .who = mem_strdup(s, source->who != NULL ? source->who : source->url), .text = "",
		.friend_address = source->friend_address, .holder = source->holder, .shunned = shunned,
	};
}

static void say(struct sources *s, struct source *source, const char *text)
{
	if (source->text[0])
		talloc_free((void *)(uintptr_t)source->text);
	source->text = text[0] ? mem_strdup(s, text) : "";
}

void sources_spend(struct sources *s, size_t i, const char *text)
{
	s->list[i].state = SOURCE_SPENT;
	say(s, &s->list[i], text);
}

void sources_fault(struct sources *s, size_t i, const char *text)
{
	struct source *source = &s->list[i];

	source->state = SOURCE_LEFT;
	source->n_faults++;
	source->helped = false;
	say(s, source, text);
}

void sources_help(struct sources *s, size_t i)
{
	s->list[i].helped = true;
	s->list[i].n_pieces++;
}

void sources_forgive(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].state == SOURCE_LEFT)
			s->list[i].n_faults = 1;
}

static enum level level_of(const struct source *source)
{
	switch (source->state) {
	case SOURCE_GOOD:
		return source->shunned ? LEVEL_SHUNNED : LEVEL_GOOD;
	case SOURCE_LEFT:
		return source->n_faults < 2 || source->helped ? LEVEL_LEFT : LEVEL_NONE;
	case SOURCE_SPENT:
		break;
	}
	return LEVEL_NONE;
}

static enum level best_level(const struct sources *s)
{
	enum level best = LEVEL_NONE;

	for (size_t i = 0; i < s->n; i++)
		if (level_of(&s->list[i]) < best)
			best = level_of(&s->list[i]);
	return best;
}

size_t sources_next(const struct sources *s, bool beside)
{
	enum level best = best_level(s);

	if (best == LEVEL_NONE || (beside && best != LEVEL_GOOD))
		return SOURCES_NONE;
	for (size_t i = 0; i < s->n; i++)
		if (level_of(&s->list[i]) == best && s->list[i].n_busy == 0)
			return i;
	return SOURCES_NONE;
}

size_t sources_fresh(const struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (level_of(&s->list[i]) == LEVEL_GOOD && s->list[i].n_busy == 0 && !s->list[i].asked)
			return i;
	return SOURCES_NONE;
}

bool sources_is_usable(const struct sources *s, size_t i)
{
	enum level level = level_of(&s->list[i]);

	if (level == LEVEL_NONE || level != best_level(s))
		return false;
	for (size_t j = 0; j < i; j++) {
		const struct source *other = &s->list[j];

		if (level_of(other) == level && !other->silent && strcmp(other->who, s->list[i].who) == 0)
			return false;
	}
	return true;
}

/* The last word of each peer. */
static bool is_last_of_peer(const struct sources *s, size_t i)
{
	for (size_t j = i + 1; j < s->n; j++)
		if (s->list[j].text[0] && strcmp(s->list[j].who, s->list[i].who) == 0)
			return false;
	return true;
}

void sources_say(const struct sources *s, struct err *e)
{
	struct buf *b = buf_new(NULL, sizeof(e->text) - 1);
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->list[i].text[0] && is_last_of_peer(s, i);
	for (size_t i = 0; i < s->n; i++) {
		const struct source *source = &s->list[i];

		if (!source->text[0] || !is_last_of_peer(s, i))
			continue;
		/* The only one needs no name: the caller knows of whom he asked. */
		if (n == 1 && !source->holder)
			buf_adds(b, source->text);
		else
			buf_addf(b, "%s%s: %s", b->len > 0 ? "; " : "", source->who, source->text);
	}
	if (b->len > 0)
		err_set(e, "%s", b->data);
	talloc_free(b);
}

static unsigned pieces_of_peer(const struct sources *s, size_t i)
{
	unsigned n = 0;

	for (size_t j = 0; j < s->n; j++)
		if (strcmp(s->list[j].who, s->list[i].who) == 0) {
			if (j < i)
				return 0;
			n += s->list[j].n_pieces;
		}
	return n;
}

char *sources_credit(const struct sources *s, const void *ctx)
{
	char *text = mem_strdup(ctx, "");

	for (size_t i = 0; i < s->n; i++) {
		unsigned n = pieces_of_peer(s, i);
		char *longer;

		if (n == 0)
			continue;
		longer = n == 1 ? mem_printf(ctx, "%s%s%s", text, text[0] ? " " : "", s->list[i].who) :
		    mem_printf(ctx, "%s%s%s %u", text, text[0] ? " " : "", s->list[i].who, n);
		talloc_free(text);
		text = longer;
	}
	return text;
}
