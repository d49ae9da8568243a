/*
 * Who we are among the nodes, kept over restarts: a node that came back under
 * another id would leave its old one in everybody's tables, and each search
 * waits a second for every such ghost. It is random and says nothing of us.
 * OpenDHT's persist_path would keep it, too, but with all nodes and values.
 */
#include <errno.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/dht/internal.h"

enum { ID_HEX = 2 * DHT_HASH_LEN };

/* Hex and a line end, nothing else. */
static bool id_read(const char *path, dht_infohash *id)
{
	char *ctx = mem_ctx(NULL);
	struct bytes text;
	struct err e;
	bool good = files_get(ctx, path, ID_HEX + 1, &text, &e) == OK && text.len == ID_HEX + 1 && text.data[ID_HEX] == '\n';

	if (good)
		good = hex_parse(mem_strndup(ctx, (const char *)text.data, ID_HEX), id->d, DHT_HASH_LEN) == 0;
	talloc_free(ctx);
	return good;
}

dht_infohash node_id(const char *path)
{
	char text[ID_HEX + 2];
	dht_infohash id;
	struct err e;

	if (path && id_read(path, &id))
		return id;
	random_fill(id.d, DHT_HASH_LEN);
	if (!path)
		return id;
	hex_print(bytes_of(id.d, DHT_HASH_LEN), text);
	text[ID_HEX] = '\n';
	if (files_put(path, bytes_of(text, ID_HEX + 1), &e) != OK)
		log_warn("dht=new-id why=\"%s\"", e.text);
	return id;
}
