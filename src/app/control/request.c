/*
 * THE table of control commands: what each is called and which arguments it
 * takes. A request is checked against it before anybody hears of it, so hooks
 * read their arguments without asking again. Addresses arrive in any spelling
 * and go on in normal form.
 */
#include <stdio.h>
#include <string.h>

#include "app/control/control.h"
#include "lib/mail/addr.h"

enum type { ID = 1, UID, FLAG, FPR, ADDRESS, ADDRESSES, TRACES, GROUP, TOKEN, WAIT };

enum { MAX_ARGS = 3, MAX_ITEMS = 1000, MAX_TOKEN = 4096, MAX_WAIT = 86400 };

static const struct command {
	const char *name;
	struct arg { const char *name; enum type type; bool must; } args[MAX_ARGS + 1];
} commands[N_CONTROL] = {
	[CONTROL_STATUS] = { "status", { { 0 } } },
	[CONTROL_QUEUE] = { "queue", { { 0 } } },
	[CONTROL_SHOW] = { "show", { { "id", ID, true } } },
	[CONTROL_CANCEL] = { "cancel", { { "id", ID, true }, { "addresses", ADDRESSES, false } } },
	[CONTROL_CONTACTS] = { "contacts", { { 0 } } },
	[CONTROL_PULL] = { "pull", { { "uid", UID, false } } },
	[CONTROL_VERIFY] = { "verify", { { "address", ADDRESS, true }, { "fpr", FPR, false } } },
	[CONTROL_FORGET] = { "forget", { { "address", ADDRESS, true } } },
	[CONTROL_GROUP_SHOW] = { "group-show", { { "group", GROUP, false } } },
	[CONTROL_GROUP_CREATE] = { "group-create", { { "group", GROUP, true } } },
	[CONTROL_GROUP_ADD] = { "group-add", { { "address", ADDRESS, true }, { "fpr", FPR, true }, { "group", GROUP, false } } },
	[CONTROL_GROUP_REMOVE] = { "group-remove", { { "address", ADDRESS, true }, { "group", GROUP, false } } },
	[CONTROL_GROUP_INVITE] = { "group-invite", { { "group", GROUP, false } } },
	[CONTROL_GROUP_JOIN] = { "group-join", { { "token", TOKEN, true }, { "wait", WAIT, false } } },
	[CONTROL_GROUP_LEAVE] = { "group-leave", { { "group", GROUP, true } } },
	[CONTROL_TRACE] = { "trace", { { "what", TRACES, true }, { "on", FLAG, true } } },
	[CONTROL_RELOAD] = { "reload", { { 0 } } },
	[CONTROL_STOP] = { "stop", { { 0 } } },
};

static const char *const codes[] = {
	[CONTROL_REFUSED] = "refused", [CONTROL_NOT_FOUND] = "not-found", [CONTROL_USAGE] = "usage",
};

const char *control_command_name(enum control_command c)
{
	return commands[c].name;
}

int control_command_parse(const char *name)
{
	for (int i = 0; i < N_CONTROL; i++)
		if (!strcmp(commands[i].name, name))
			return i;
	return -1;
}

const char *control_code_name(enum control_code c)
{
	return codes[c];
}

static bool is_number(const json_t *v, json_int_t max)
{
	return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= max;
}

static bool is_fpr(const json_t *v)
{
	const char *s = json_string_value(v);

	return s && strlen(s) == 40 && strspn(s, "0123456789ABCDEF") == 40;
}

static bool is_trace(json_t *v)
{
	const char *s = json_string_value(v);

	return s && (!strcmp(s, "smtp") || !strcmp(s, "imap") || !strcmp(s, "http") || !strcmp(s, "dht"));
}

/* In place to its normal form. */
static bool is_address(json_t *v)
{
	char address[LIMIT_ADDRESS + 1];
	const char *s = json_string_value(v);

	return s && addr_parse(s, address) == 0 && json_string_set(v, address) == 0;
}

/* In place to its normal form. */
static bool is_group(json_t *v)
{
	char name[LIMIT_ADDRESS + 1];
	const char *s = json_string_value(v);
	size_t n = 0;

	for (; s && s[n] && n < LIMIT_ADDRESS; n++)
		name[n] = (char)(s[n] >= 'A' && s[n] <= 'Z' ? s[n] + 'a' - 'A' : s[n]);
	name[n] = '\0';
	return s && !s[n] && addr_is_group(name) && json_string_set(v, name) == 0;
}

static bool is_text(const json_t *v, size_t max)
{
	return json_is_string(v) && json_string_length(v) <= max && strlen(json_string_value(v)) == json_string_length(v);
}

static bool is_list(const json_t *list, bool (*is_item)(json_t *))
{
	size_t i;
	json_t *item;

	if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > MAX_ITEMS)
		return false;
	json_array_foreach(list, i, item)
		if (!is_item(item))
			return false;
	return true;
}

static bool is_good(enum type type, json_t *v)
{
	switch (type) {
	case ID:
		return is_number(v, INT64_MAX);
	case UID:
		return is_number(v, UINT32_MAX);
	case FLAG:
		return json_is_boolean(v);
	case FPR:
		return is_fpr(v);
	case ADDRESS:
		return is_address(v);
	case ADDRESSES:
		return is_list(v, is_address);
	case TRACES:
		return is_list(v, is_trace);
	case GROUP:
		return is_group(v);
	case TOKEN:
		return is_text(v, MAX_TOKEN);
	case WAIT:
		return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= MAX_WAIT;
	}
	return false;
}

/* Every argument the row wants, and no other. */
static bool check_args(const struct command *c, json_t *args, struct err *e)
{
	size_t n_known = 0;

	for (const struct arg *a = c->args; a->name; a++) {
		json_t *v = json_object_get(args, a->name);
		if (!v && !a->must)
			continue;
		if (!v || !is_good(a->type, v)) {
			err_set(e, "%s: %s is %s", c->name, a->name, v ? "not what it should be" : "missing");
			return false;
		}
		n_known++;
	}
	if (json_object_size(args) > n_known)
		err_set(e, "%s: an argument it does not know", c->name);
	return json_object_size(args) == n_known;
}

json_t *control_request_parse(const char *line, size_t len, enum control_command *command_out, struct err *e)
{
	json_error_t why;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	const char *name = json_string_value(json_object_get(request, "command"));
	json_t *given = json_object_get(request, "args"), *args = NULL;
	int command = name ? control_command_parse(name) : -1;

	if (!request)
		err_set(e, "not JSON: %s", why.text);
	else if (command < 0)
		err_set(e, "no such command");
	else if (given && !json_is_object(given))
		err_set(e, "args is not an object");
	else
		args = given ? json_incref(given) : json_object();
	if (args && !check_args(&commands[command], args, e)) {
		json_decref(args);
		args = NULL;
	}
	if (args)
		*command_out = (enum control_command)command;
	json_decref(request);
	return args;
}
