// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/cli.h"
#include "support/built.h"
#include "support/support.h"

int cli_run(char *ret, size_t max, const char *format, ...)
{
	char args[1024], command[2048];
	va_list ap;
	size_t n;
	FILE *p;

	va_start(ap, format);
	assert_in_range(vsnprintf(args, sizeof(args), format, ap), 0, sizeof(args) - 1);
	va_end(ap);
	(void)snprintf(command, sizeof(command), "exec 2>&1; COLUMNS= %s/forewarm %s", built_at(),
		       args);
	p = popen(command, "r");
	assert_non_null(p);
	n = fread(ret, 1, max - 1, p);
	ret[n] = '\0';
	return pclose(p);
}
