#!/usr/bin/awk -f
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# warm-files.awk -v root=DIRECTORY TRACE - the names in what `strace -f -y` said of a program below
# that root, as that program sees them, one a line; with the loaders that only the kernel opens.
BEGIN { print "/lib64/ld-linux-x86-64.so.2" }

# openat(AT_FDCWD</root/w/repo>, "include/math.h", or access("/etc/ld.so.preload",
match($0, /[a-z0-9]+\((AT_FDCWD|[0-9]+)?(<[^>]*>)?(, )?"[^"]+"/) {
	call = substr($0, RSTART, RLENGTH)
	from = name = ""
	if (match(call, /<[^>]*>/))
		from = substr(call, RSTART + 1, RLENGTH - 2)
	name = substr(call, index(call, "\"") + 1)
	name = substr(name, 1, length(name) - 1)
	if (name !~ /^\//) {
		if (index(from, root "/") != 1 && from != root)
			next
		name = substr(from, length(root) + 1) "/" name
	}
	print name
}
