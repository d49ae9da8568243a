/*
 * The arguments of MAIL and RCPT (RFC 5321 section 4.1.2). Quoted local parts
 * are no addresses of ours, so a '>' within quotes needs no care; a source
 * route is passed over, as section 4.1.1.3 asks.
 */
#include <string.h>
#include <strings.h>

#include "way/smtp/session.h"

int smtp_path_parse(char *arg, const char *word, char **address_out, char **params_out)
{
	size_t n = strlen(word);

	if (strncasecmp(arg, word, n) != 0)
		return -1;
	arg += n;
	arg += strspn(arg, " ");	/* seen from many clients */
	char *end = strchr(arg, '>');
	if (*arg != '<' || !end || (end[1] != '\0' && end[1] != ' '))
		return -1;
	*end = '\0';
	*params_out = end + 1;
	*address_out = arg + 1;
	if (arg[1] == '@') {
		char *colon = strchr(arg, ':');
		if (!colon)
			return -1;
		*address_out = colon + 1;
	}
	return 0;
}

bool smtp_param_next(char **params, char **name_out, char **value_out)
{
	char *p = *params + strspn(*params, " ");

	if (*p == '\0')
		return false;
	*name_out = p;
	p += strcspn(p, " ");
	*params = *p ? p + 1 : p;
	*p = '\0';
	*value_out = strchr(*name_out, '=');
	if (*value_out)
		*(*value_out)++ = '\0';
	return true;
}
