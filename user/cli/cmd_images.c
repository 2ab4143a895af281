// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* cmd_images.c - images: what containers were made of, and where on this host that is. */
#include "cli/cli.h"

#include <stdio.h>

struct listing {
	struct table *images;
	size_t n;
};

static void each_image(void *ctx, json_t *o)
{
	const json_t *layers = json_object_get(o, "layers");
	struct listing *l = ctx;
	char seen[32];
	json_t *x;
	size_t i;

	if (!is_type(o, "image"))
		return;
	l->n++;
	snprintf(seen, sizeof(seen), "%s ago", opt_ns(o, "ago_ns"));
	if (!json_array_size(layers))
		table_row(l->images,
			  (const char *[]){get_text(o, "name"), seen, "not known where"});
	json_array_foreach(layers, i, x)
		table_row(l->images, (const char *[]){i ? "" : get_text(o, "name"), i ? "" : seen,
						      json_string_value(x)});
}

int cmd_images(struct cli *cli)
{
	static const struct table_column columns[] = {
		{"IMAGE", 'l'}, {"SEEN", 'r'}, {"LAYERS, THE UPPERMOST FIRST", 'f'}};
	struct listing l = {.images = table_new(cli, columns, sizeof(columns) / sizeof(*columns))};
	int r = cli_ask(cli, "images", NULL, each_image, &l);

	table_print(l.images);
	if (r == FWM_STATUS_OK && !cli->json && !l.n)
		printf("no container was seen\n");
	return r;
}
