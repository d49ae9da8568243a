/* A request line on the control socket: arguments that fit the table, or a reason. */
#include <stdint.h>
#include <stdlib.h>

#include "app/control/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum control_command command = N_CONTROL;
	struct err e = { "" };
	json_t *args = control_request_parse((const char *)data, size, &command, &e);

	if (args ? !json_is_object(args) || command >= N_CONTROL : !*e.text)
		abort();
	if (args && command == CONTROL_SHOW && json_integer_value(json_object_get(args, "id")) <= 0)
		abort();
	json_decref(args);
	return 0;
}
