// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* service_ask.c - services by their names and addresses: what is foretold, seen and asked of them. */
#include "sys/service.h"

#include "base/clock.h"
#include "sys/service_impl.h"

#include <string.h>

/* Whether a connection to "to" ends up at the listener. */
static bool reaches(const struct unit_addr *listener, const struct unit_addr *to)
{
	static const uint8_t zero[16];

	if (listener->family == UNIT_UNIX || listener->family == UNIT_ABSTRACT)
		return listener->family == to->family && strcmp(listener->path, to->path) == 0;
	if (to->family == UNIT_UNIX || to->family == UNIT_ABSTRACT || to->port != listener->port ||
	    (to->type == UNIT_DATAGRAM) != (listener->type == UNIT_DATAGRAM))
		return false;
	if (memcmp(listener->ip, zero, 16) == 0)
		return listener->family == UNIT_INET6 || to->family == UNIT_INET;
	return to->family == listener->family && memcmp(to->ip, listener->ip, 16) == 0;
}

static bool parse_address(const char *name, struct unit_addr *ret)
{
	const char *rest = strchr(name, ':');

	if (strncmp(name, "tcp:", 4) == 0 || strncmp(name, "unix:", 5) == 0)
		return unit_addr_parse(rest + 1, UNIT_STREAM, ret) == 0;
	return strncmp(name, "udp:", 4) == 0 && unit_addr_parse(rest + 1, UNIT_DATAGRAM, ret) == 0;
}

static bool listens_at(const struct service *v, const struct unit_addr *to)
{
	for (size_t i = 0; i < v->listen_n; i++)
		if (reaches(v->addrs[i], to))
			return true;
	return false;
}

/* With or without what kind of unit it is. */
static bool is_called(const struct service *v, const char *name)
{
	size_t n = strlen(v->name);

	return strncmp(v->name, name, n) == 0 &&
	       (!name[n] || strcmp(name + n, ".service") == 0 || strcmp(name + n, ".socket") == 0);
}

static struct service *find(const struct services *s, const char *name)
{
	struct unit_addr to = {0};
	bool address = parse_address(name, &to);

	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		struct service *v = &s->all[i];

		if (v->used && (address ? listens_at(v, &to) : is_called(v, name)))
			return v;
	}
	return NULL;
}

bool services_predict(struct services *s, const char *name, double p, uint64_t lead_ns)
{
	struct service *v = find(s, name);

	if (!v)
		return false;
	services_take_notes(s); /* who has connected by now comes before any guess */
	service_tell(v, (struct svc_event){.kind = SVC_EV_GUESS, .p = p, .lead_ns = lead_ns});
	services_act(s);
	return true;
}

bool services_has(const struct services *s, const char *name)
{
	return find(s, name) != NULL;
}

bool services_observe(struct services *s, const char *name, uint64_t ts_ns)
{
	struct service *v = find(s, name);

	if (!v)
		return false;
	services_take_notes(s); /* maybe this one */
	service_tell(v, (struct svc_event){.kind = SVC_EV_OBSERVED, .at_ns = ts_ns});
	services_act(s);
	return true;
}

uint32_t services_n(const struct services *s)
{
	return s->n;
}

void services_parked(const struct services *s, uint32_t parked_n, uint32_t ret[SANDBOX_NET_MAX])
{
	for (int net = 0; net < SANDBOX_NET_MAX; net++)
		ret[net] = 0;
	for (uint32_t i = 0; i < s->o.limits.service_max; i++) {
		const struct service *v = &s->all[i];
		uint32_t *n;

		if (!v->used)
			continue;
		n = &ret[v->unit->service.private_network ? SANDBOX_NET_PRIVATE : SANDBOX_NET_HOST];
		*n = *n < parked_n ? parked_n : *n;
		if (v->unit->service.pool_n > *n)
			*n = v->unit->service.pool_n;
	}
}

static void view(const struct service *v, struct service_view *ret)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	*ret = (struct service_view){.name = v->name, .description = v->unit->description};
	unit_addr_format(v->addrs[0], ret->listens, sizeof(ret->listens));
	svc_view(v->all->svc, v->id, now, &ret->svc);
	ret->trouble = ret->svc.fail_row_n && *v->trouble ? v->trouble : NULL;
	ret->state_ns = now - ret->svc.since_ns;
	ret->idle_ns = ret->svc.idle_since_ns ? now - ret->svc.idle_since_ns : SVC_NEVER;
	ret->hold_ns = ret->svc.hold_until_ns ? ret->svc.hold_until_ns - now : 0;
	ret->move_n = svc_story(v->all->svc, v->id, ret->moves);
	for (size_t i = 0; i < ret->move_n; i++)
		ret->moves[i].at_ns = now - ret->moves[i].at_ns;
}

void services_view(const struct services *s, uint32_t i, struct service_view *ret)
{
	uint32_t id = 0;

	for (;; id++)
		if (s->all[id].used && i-- == 0)
			break;
	view(&s->all[id], ret);
}

bool services_find(const struct services *s, const char *name, struct service_view *ret)
{
	const struct service *v = find(s, name);

	if (v)
		view(v, ret);
	return v != NULL;
}

bool services_reaches(const struct services *s, const char *name, const char *address)
{
	const struct service *v = find(s, name);
	struct unit_addr to = {0};

	return v && parse_address(address, &to) && listens_at(v, &to);
}
