// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* forewarm-proxy - the program of user/sys/proxy.h; the daemon runs it inside a sandbox. */
#include "sys/proxy.h"

int main(int argc, char **argv)
{
	return proxy_main(argc, argv);
}
