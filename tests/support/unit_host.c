// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "support/unit_host.h"

#include <string.h>

static const char *const held[] = {"web@eu-1.socket", "virtlockd.socket", "other.socket", NULL};

const struct unit_host unit_host_here = {.host_name = "myhost.example",
					 .machine_id = "0123",
					 .boot_id = "4567",
					 .kernel = "6.1",
					 .architecture = "x86-64",
					 .shell = "/bin/bash",
					 .os_id = "debian",
					 .os_version = "12",
					 .os_build = "",
					 .directory = "/etc/forewarm/services",
					 .held = held};

int unit_host_parse(struct unit *u, enum unit_kind kind, const char *text, struct unit_why *why)
{
	*why = (struct unit_why){0};
	return unit_parse(u, kind, "web@eu-1", &unit_host_here, text, strlen(text), why);
}
