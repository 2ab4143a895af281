#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# vmtest.sh [OPTION...] [KERNEL...] - the tests, on other kernels.
#
# Boots each kernel under QEMU, without KVM where there is none, and runs the built tests there:
# pure cgroup v2 with its controllers, an ext4 root, no network, two CPUs. Prints a table of what
# held on which kernel, with what each BPF program cost the verifier there, and closes like
# run-tests.sh does.
#
#   KERNEL   a package of the distribution that brings a kernel; the default is the oldest and the
#            newest that Debian 12 ships. Downloaded and unpacked under .output/vm, never installed.
#   --quick  a few tests of tests/bpf only: what make check has time for
#   --boot   tests: all but what needs systemd, with our own first process; systemd: only that, with
#            systemd's. Both, one after the other, without it
#   --only   tests whose path matches, as ONLY does for run-tests.sh
#   --tap    one TAP line a result, for run-tests.sh
#   --out    the build to test (default .output)
#
# An emulated processor is slow: TEST_SCALE makes the longest tests shorter, not their checks weaker.
# The root file system is made of this host's own packages (BASE below), so what was built here
# runs there. All kernels run at once; VM_LIMIT bounds the seconds they may take.
set -eu
cd "$(dirname "$0")/.."

KERNELS="linux-image-cloud-amd64 linux-image-6.12-cloud-amd64"
BASE="bash dash coreutils util-linux mount procps grep sed mawk findutils diffutils tar gzip libc-bin
base-files sqlite3 bpftool iproute2 kmod python3-minimal python3.11-minimal libpython3.11-minimal
libpython3.11-stdlib file hostname e2fsprogs xfsprogs btrfs-progs bubblewrap libcap2-bin systemd
libsystemd-shared util-linux-extra"
MODULES="virtio_pci virtio_blk" # what the root needs; the others are loaded on demand
MODULES_ROOT="overlay fuse veth tun vsock_loopback loop xfs btrfs unix_diag inet_diag tcp_diag"
LSMS="landlock,lockdown,yama,integrity,apparmor,bpf" # as Debian has them, and what its kernels leave out

quick= tap= only= boots= out=.output kernels=
while (($#)); do
	case $1 in
	--quick) quick=1 ;;
	--tap) tap=1 ;;
	--only) only=$2 && shift ;;
	--boot) boots=$2 && shift ;;
	--out) out=$2 && shift ;;
	-*) echo "vmtest.sh: unknown option '$1'" >&2 && exit 2 ;;
	*) kernels+=" $1" ;;
	esac
	shift
done
vm=.output/vm
# What meets the kernel; the pure rest is the same everywhere, and slow without KVM.
[[ $quick ]] && only=${only:-bpf/test_(verifier|selftest)}
only=${only:-bpf/|e2e/|unit/test_(api|cgroup|psi|warm)}
boots=${boots:-tests $([[ $quick ]] || echo systemd)}
limit=${VM_LIMIT:-$([[ $quick ]] && echo 280 || echo 3000)}
passed=0 failed=0 skipped=0

say() { if [[ $tap ]]; then sed 's/^/# /'; else cat; fi; }
give_up() { # reason: nothing can be run here
	echo "ok - other kernels under QEMU # SKIP $1"
	[[ $tap ]] || echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

[[ $(uname -m) == x86_64 ]] || give_up "the kernels named are for x86_64"
if [[ $quick ]]; then
	command -v qemu-system-x86_64 >/dev/null ||
		give_up "qemu-system-x86_64 is not installed (make vmtest installs it)"
fi
tools/setup.sh vm || exit 1
mkdir -p $vm

# A kernel package and its modules, unpacked under $vm/kernels/VERSION; prints VERSION.
kernel_get() { # package
	local package=$1 deb version
	if [[ -e $vm/kernels/$package.version ]]; then
		cat "$vm/kernels/$package.version"
		return
	fi
	apt-cache show "$package" >/dev/null 2>&1 || apt-get update -qq >/dev/null 2>&1 || :
	if apt-cache show "$package" 2>/dev/null | grep -q '^Depends:.*linux-image-[0-9]'; then
		package=$(apt-cache show --no-all-versions "$package" |
			sed -nE '/^Depends:/ s/.*(linux-image-[0-9][^ ,]*).*/\1/p' | head -n 1)
	fi
	version=${package#linux-image-}
	mkdir -p "$vm/kernels/$version"
	(cd "$vm/kernels" && apt-get download -qq "$package" 2>&1) | grep -v unsandboxed >&2 || :
	deb=$(find $vm/kernels -maxdepth 1 -name "${package}_*.deb" | head -n 1)
	[[ $deb ]] || return 1
	dpkg-deb -x "$deb" "$vm/kernels/$version"
	rm -f "$deb"
	find "$vm/kernels/$version/lib/modules" -name '*.ko.xz' -exec xz -d {} +
	depmod -b "$vm/kernels/$version" "$version"
	echo "$version" >"$vm/kernels/$1.version"
	echo "$version"
}

# Every shared library that the programs under $1 need, put beside them.
libraries() { # root
	find "$1" -type f \( -perm -u+x -o -name '*.so*' \) -print0 |
		xargs -0 -n 200 ldd 2>/dev/null |
		awk '$2 == "=>" && $3 ~ "^/" { print $3 } $1 ~ "^/lib.*ld-linux" { print $1 }' | sort -u | while read -r lib; do
		[[ -e $1$lib ]] || install -D -m 755 "$lib" "$1$lib"
	done
}

base_make() { # the host's own packages as a root file system; kept until BASE changes
	local root=$vm/root
	[[ -e $root/.base && $(<"$root/.base") == "$BASE" ]] && return
	rm -rf "$root"
	mkdir -p "$root"/{usr/{bin,sbin,lib,lib64},proc,sys,dev,run,tmp,root,etc,mnt,var/{tmp,lib}}
	chmod 1777 "$root"/{tmp,var/tmp}
	for d in bin sbin lib lib64; do ln -s usr/$d "$root/$d"; done
	# shellcheck disable=SC2086
	dpkg-query -L $BASE 2>/dev/null | grep -vE '/(doc|man|locale|info|bash-completion)(/|$)' |
		sort -u | while read -r f; do
		if [[ -f $f || -L $f ]]; then echo "$f"; fi
	done | cpio -pdmL --quiet "$root" 2>/dev/null || :
	cp -a /etc/{passwd,group,shadow,nsswitch.conf,ld.so.conf,ld.so.conf.d} "$root/etc/"
	ln -sf dash "$root/usr/bin/sh"
	ln -sf mawk "$root/usr/bin/awk"
	cp /usr/bin/busybox "$root/usr/bin/busybox"
	echo 127.0.0.1 localhost >"$root/etc/hosts"
	echo vm >"$root/etc/hostname"
	printf '%032d\n' 1 >"$root/etc/machine-id" # with none systemd asks who we are
	libraries "$root"
	echo "$BASE" >"$root/.base"
}

tree_make() { # the tree and its build, as /forewarm
	local root=$vm/root
	rm -rf "$root/forewarm" "$root/init"
	mkdir -p "$root/forewarm/.output"
	git ls-files -z -co --exclude-standard 2>/dev/null | xargs -0 cp --parents -t "$root/forewarm" 2>/dev/null || :
	(cd "$out" && find . \( -path ./vm -o -path './san-*' -o -path ./clang -o -path ./cov \
		-o -path ./fuzz -o -path ./bench -o -name '*.o' -a ! -name '*.bpf.o' -o -name '*.a' \
		-o -name '*.d' \) -prune -o -type f -print0 |
		cpio -pdm0 --quiet "$OLDPWD/$root/forewarm/.output")
	libraries "$root/forewarm/.output"
	cp -a "$root/forewarm/.output/usr/." "$root/usr/" 2>/dev/null && rm -rf "$root/forewarm/.output/usr"
	cp -a "$root/forewarm/.output/lib/." "$root/usr/lib/" 2>/dev/null && rm -rf "$root/forewarm/.output/lib"
	# What runs the tests, whoever is the first process.
	cat >"$root/run-tests" <<RUN
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C
export FWM_VM=1 TEST_SCALE=4 RESULTS=/dev/ttyS2 TEST_TIMEOUT=$((limit > 600 ? 600 : limit - 20))
for m in $MODULES_ROOT; do modprobe \$m 2>/dev/null; done
ip link set lo up
ulimit -n 65536
cd /forewarm
exec >/dev/ttyS1 2>&1 </dev/null
echo "vm: up \$(cut -d' ' -f1 /proc/uptime) s"
if [[ \$(</proc/1/comm) == systemd ]]; then
	ONLY=test_systemd tools/run-tests.sh e2e=.output/tests
else
	ONLY='$only' LEAVE=test_systemd tools/run-tests.sh $([[ $quick ]] && echo bpf=.output/tests || echo san=.output/tests root=.output/tests)
fi
sync
echo "vm: done \$(cut -d' ' -f1 /proc/uptime) s"
exec busybox poweroff -f
RUN
	mkdir -p "$root/etc/systemd/system"
	printf '[Unit]\nRequires=basic.target run-tests.service\n' >"$root/etc/systemd/system/vm.target"
	printf '[Unit]\nAfter=basic.target\n[Service]\nExecStart=/run-tests\n' \
		>"$root/etc/systemd/system/run-tests.service"
	cat >"$root/init" <<INIT
#!/bin/bash
# The one process of this machine: mounts what a Debian system has, runs the tests.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd && ln -s fd/0 /dev/stdin && ln -s fd/1 /dev/stdout && ln -s fd/2 /dev/stderr
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
for c in \$(</sys/fs/cgroup/cgroup.controllers); do
	echo +\$c >/sys/fs/cgroup/cgroup.subtree_control
done
# The first group with cpuset, and the end of the last, rewrite kernel code, at which an emulated kernel
# died twice (int3 in __alloc_pages): one group that stays.
mkdir /sys/fs/cgroup/kept
hostname vm
exec /run-tests
INIT
	chmod +x "$root/init" "$root/run-tests"
}

image_make() { # version, folder: the initramfs that finds the root, and the root
	local version=$1 dir=$2 root=$vm/root boot=$vm/boot m
	rm -rf "$boot" "$root/usr/lib/modules" "$dir"
	mkdir -p "$boot"/{bin,proc,sys,dev,new,mod} "$dir"
	cp /usr/bin/busybox "$boot/bin/"
	# In order: what a module depends on comes before it.
	# shellcheck disable=SC2086
	for m in $MODULES; do
		modprobe -d "$vm/kernels/$version" -S "$version" --show-depends "$m" 2>/dev/null
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$vm/modules"
	m=10
	while read -r ko; do cp "$ko" "$boot/mod/$((m++)).ko"; done <"$vm/modules"
	cat >"$boot/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for m in /mod/*.ko; do /bin/busybox insmod $m; done
i=0
while [ ! -b /dev/vda ] && [ $i -lt 200 ]; do /bin/busybox usleep 50000; i=$((i + 1)); done
/bin/busybox mount -t ext4 /dev/vda /new || /bin/busybox poweroff -f
/bin/busybox mount --move /dev /new/dev
case $* in
*systemd*) exec /bin/busybox switch_root /new /lib/systemd/systemd --unit=vm.target ;;
*) exec /bin/busybox switch_root /new /init ;;
esac
INIT
	chmod +x "$boot/init" && ln -s busybox "$boot/bin/sh"
	(cd "$boot" && find . | cpio -o -H newc --quiet) >"$dir/initramfs"
	# shellcheck disable=SC2086
	for m in $MODULES_ROOT; do
		modprobe -d "$vm/kernels/$version" -S "$version" --show-depends "$m" 2>/dev/null
	done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r ko; do
		install -D -m 644 "$ko" "$root/usr/lib/modules/$version/${ko##*/}"
	done
	depmod -b "$root/usr" "$version" 2>/dev/null || depmod -b "$root" "$version"
	mke2fs -qF -t ext4 -d "$root" -L forewarm -E lazy_itable_init=1 "$dir/root.img" 2G >/dev/null
}

kernel_boot() { # version, folder, first process: tests or systemd
	local version=$1 dir=$2
	date +%s >"$dir/started"
	# One thread for both of its processors: with one each a guest dies now and then of an int3 where its
	# kernel rewrites its own code (tracepoints put on and off).
	timeout -k 5 "$limit" qemu-system-x86_64 -accel tcg,thread=single -cpu max,la57=off -smp 2 \
		-m 3072 -kernel "$vm/kernels/$version/boot/vmlinuz-$version" -initrd "$dir/initramfs" \
		-append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off lsm=$LSMS rdinit=/init -- $3" \
		-drive "file=$dir/root.img,if=virtio,format=raw,cache=unsafe" -nic none -display none \
		-monitor none -no-reboot -serial "file:$dir/kernel" -serial "file:$dir/tests" \
		-serial "file:$dir/results" </dev/null >"$dir/qemu" 2>&1 &
	machines+=($!)
}

kernel_tell() { # version, folder, process, first process
	local version=$1 dir=$2 rc=0 seconds line p=0 f=1 s=0
	[[ $4 == tests ]] || version+=" under $4"
	wait "$3" || rc=$?
	seconds=$(($(stat -c %Y "$dir/tests") - $(<"$dir/started"))) # its last word
	sed -i 's/\r$//' "$dir"/{kernel,tests,results}
	{
		echo "  $version, $seconds s:"
		sed -e 's/^/  /' "$dir/tests"
	} | say
	line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$dir/tests" | tail -n 1)
	if [[ ! $line || $line == "0 passed, 0 failed, 0 skipped" ]]; then
		echo "not ok - $version: the tests did not come to their end (status $rc, limit $limit s)"
		p=$(grep -a '^ok ' "$dir/results" | grep -avc '# SKIP') || :
		f=$(grep -a '^not ok ' "$dir/results" | grep -avc '# SKIP') || :
		((++f))
		s=$(grep -ac '# SKIP' "$dir/results") || :
		tail -n 30 "$dir/kernel" "$dir/qemu" | sed 's/^/# /'
	else
		read -r p f s <<<"$(tr -dc '0-9 ' <<<"$line")"
		[[ $tap ]] && sed -nE "s/^(not ok|ok) - /\1 - $version: /p" "$dir/results"
	fi
	((passed += p, failed += f, skipped += s)) || :
	rows+=("$(printf '  %-38s %6d %6d %7d %6s %9d %7d' "$version" "$p" "$f" "$s" \
		"$(grep -ac 'insns verified' "$dir/results")" "$(insns '[^ ]+' "$dir" |
			awk '{ n += $1 } END { print n + 0 }')" "$seconds")")
}

insns() { # program (a pattern), folder: what it cost the verifier there
	sed -nE "s/.*test_verifier: $1: ([0-9]+) insns verified.*/\\1/p" "$2/results"
}

figures() { # what the tests said of these kernels besides
	local v n program tier run open other

	# What each program cost the verifier: instructions it walked, a column a kernel.
	for v in "${versions[@]}"; do
		sed -nE 's/.*test_verifier: ([^ ]+): [0-9]+ insns verified.*/\1/p' "$vm/boot-tests-$v/results"
	done | sort -u | while read -r program; do
		printf '    %-36s' "$program"
		for v in "${versions[@]}"; do
			n=$(insns "$program" "$vm/boot-tests-$v")
			printf ' %10s' "${n:--}"
		done
		echo
	done
	# What an open can be hooked with, and what it costs there: emulated, so good to compare only.
	for v in "${versions[@]}"; do
		grep -aq 'test_tiers: ' "$vm/boot-tests-$v/results" || continue
		echo "  $v, ns: a run, beyond none an open and close, any other call"
		sed -nE 's/^.*test_tiers: ([^ ]+): .*; ([0-9]+) ns a run, ([^ ]+) an open, ([^ ]+) any.*/\1 \2 \3 \4/p' \
			"$vm/boot-tests-$v/results" | while read -r tier run open other; do
			printf '    %-36s %10s %10s %10s\n' "$tier" "$run" "$open" "$other"
		done
	done
}

rows=() versions=() machines=()
trap '((${#machines[@]})) && kill "${machines[@]}" 2>/dev/null' EXIT
base_make
tree_make
for k in ${kernels:-$KERNELS}; do
	if v=$(kernel_get "$k"); then
		versions+=("$v")
		image_make "$v" "$vm/image-$v"
	elif [[ $quick ]]; then
		((++skipped))
		echo "ok - $k # SKIP the package could not be downloaded"
	else
		((++failed))
		echo "not ok - $k: the package could not be downloaded"
	fi
done
for boot in $boots; do
	machines=()
	for v in "${versions[@]}"; do
		dir=$vm/boot-$boot-$v
		mkdir -p "$dir"
		mv "$vm/image-$v"/* "$dir"
		kernel_boot "$v" "$dir" "$boot"
	done
	for i in "${!versions[@]}"; do
		v=${versions[i]}
		kernel_tell "$v" "$vm/boot-$boot-$v" "${machines[i]}" "$boot"
		mv "$vm/boot-$boot-$v"/{root.img,initramfs} "$vm/image-$v"
	done
done
for v in "${versions[@]}"; do rm -r "$vm/image-$v"; done
{
	echo
	echo "  kernel                                 passed failed skipped  progs     insns seconds"
	printf '%s\n' "${rows[@]}"
	[[ $boots == *tests* ]] && figures
} | say
machines=()
[[ $tap ]] || echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
