// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * unittable.c - what a directive may be is data: section, keys, the reader of the value, the field.
 *
 * Isolation a sandbox gives every service anyway (ProtectKernelModules= and the like) is in the table
 * too, with the only value we can honour: asking for less is refused. So is what has no effect in
 * systemd either, or none that could be missed here.
 */
#include "base/err.h"
#include "core/unit_impl.h"

#include <string.h>

enum { SIGNAL_TERM = 15 /* the same on every architecture Linux has */ };

static const struct word_value types[] = {
	{"simple", UNIT_TYPE_SIMPLE},
	{"exec", UNIT_TYPE_EXEC},
	{"notify", UNIT_TYPE_NOTIFY},
	{"notify-reload", UNIT_TYPE_NOTIFY}, /* nothing here asks for a reload */
	{"idle", UNIT_TYPE_SIMPLE},	     /* waits for other jobs: there are none */
	{"forking", -1},
	{"oneshot", -1},
	{"dbus", -1},
	{NULL, 0},
};
static const struct word_value restarts[] = {
	{"no", UNIT_RESTART_NO},
	{"on-success", UNIT_RESTART_ON_SUCCESS},
	{"on-failure", UNIT_RESTART_ON_FAILURE},
	{"on-abnormal", UNIT_RESTART_ON_ABNORMAL},
	{"on-abort", UNIT_RESTART_ON_ABORT},
	{"on-watchdog", UNIT_RESTART_ON_WATCHDOG},
	{"always", UNIT_RESTART_ALWAYS},
	{NULL, 0},
};
/* Where there is "no" or "yes", any word for it will do. */
static const struct word_value protects[] = {
	{"no", UNIT_PROTECT_NO},
	{"yes", UNIT_PROTECT_YES},
	{"full", UNIT_PROTECT_FULL},
	{"strict", UNIT_PROTECT_STRICT},
	{NULL, 0},
};
static const struct word_value users[] = {
	{"no", UNIT_USERS_HOST},
	{"yes", UNIT_USERS_SELF},
	{"self", UNIT_USERS_SELF},
	{"identity", UNIT_USERS_IDENTITY},
	{"full", -1},
	{NULL, 0},
};
static const struct word_value homes[] = {
	{"no", UNIT_HOME_SEEN},
	{"yes", UNIT_HOME_HIDDEN},
	{"read-only", UNIT_HOME_READ_ONLY},
	{"tmpfs", UNIT_HOME_TMPFS},
	{NULL, 0},
};
static const struct word_value bind_v6[] = {
	{"default", UNIT_V6_DEFAULT}, {"both", UNIT_V6_BOTH}, {"no", UNIT_V6_BOTH},
	{"ipv6-only", UNIT_V6_ONLY},  {"yes", UNIT_V6_ONLY},  {NULL, 0},
};
static const struct word_value procs[] = {
	{"default", UNIT_PROC_SEEN},
	{"ptraceable", UNIT_PROC_PTRACEABLE},
	{"noaccess", UNIT_PROC_NO_ACCESS},
	{"invisible", UNIT_PROC_INVISIBLE},
	{NULL, 0},
};
static const struct word_value preserves[] = {
	{"no", UNIT_PRESERVE_NO},
	{"yes", UNIT_PRESERVE_YES},
	{"restart", UNIT_PRESERVE_RESTART},
	{NULL, 0},
};
static const struct word_value tos[] = {
	{"low-delay", 0x10}, {"throughput", 0x08}, {"reliability", 0x04}, {"low-cost", 0x02},
	{NULL, 0},
};
/* A word for a bool. */
static const struct word_value accesses[] = {
	{"main", true}, {"exec", true}, {"all", false}, {"none", -1}, {NULL, 0},
};
static const struct word_value kill_modes[] = {
	{"control-group", UNIT_KILL_ALL},
	{"mixed", UNIT_KILL_MIXED},
	{"process", UNIT_KILL_PROCESS},
	{"none", -1},
	{NULL, 0},
};
static const struct word_value proc_subsets[] = {{"all", false}, {"pid", true}, {NULL, 0}};
/* Of these only the first can be honoured. */
static const struct word_value inputs[] = {{"null", 0}, {NULL, 0}};
static const struct word_value native[] = {{"native", 0}, {NULL, 0}};
static const struct word_value keyrings[] = {{"private", 0}, {NULL, 0}};
static const struct word_value no_action[] = {{"none", 0}, {NULL, 0}};
static const struct word_value terminate[] = {{"terminate", 0}, {NULL, 0}};
static const struct word_value oom_policies[] = {{"continue", 0}, {NULL, 0}};
static const struct word_value device_policies[] = {{"closed", 0}, {NULL, 0}};
static const struct word_value infinite[] = {{"infinity", 0}, {NULL, 0}};

#define UNIT(f) offsetof(struct unit, f), sizeof(((struct unit *)0)->f)
#define SOCKET(f) UNIT(socket.f)
#define SERVICE(f) UNIT(service.f)
#define NONE 0, 0

static const struct directive unit_rows[] = {
	{"Description", unit_set_text, UNIT(description), 0, 0},
	/* Orders what is started together, or is for who starts and stops units by hand; here each
	 * service starts alone, when it is asked for, after all that is mounted at boot. */
	{"Documentation SourcePath After Before DefaultDependencies RequiresMountsFor "
	 "WantsMountsFor "
	 "RefuseManualStart RefuseManualStop AllowIsolate IgnoreOnIsolate StopWhenUnneeded "
	 "CollectMode JobTimeoutSec JobRunningTimeoutSec PropagatesReloadTo ReloadPropagatedFrom",
	 unit_set_ignored, NONE, 0, 0},
	{"Wants Conflicts PartOf PropagatesStopTo StopPropagatedFrom", unit_set_need, NONE, true,
	 0},
	{"Requires Requisite BindsTo", unit_set_need, NONE, false, 0},
	{"StartLimitIntervalSec StartLimitInterval StartLimitBurst", unit_set_limit, NONE, 0, 0},
	{"StartLimitAction FailureAction SuccessAction JobTimeoutAction", unit_set_only, NONE, 0,
	 no_action},
	{"ConditionPathExists AssertPathExists", unit_set_condition, NONE, UNIT_IF_PATH_EXISTS, 0},
	{"ConditionPathExistsGlob AssertPathExistsGlob", unit_set_condition, NONE,
	 UNIT_IF_PATH_GLOB, 0},
	{"ConditionPathIsDirectory AssertPathIsDirectory", unit_set_condition, NONE,
	 UNIT_IF_DIRECTORY, 0},
	{"ConditionPathIsSymbolicLink AssertPathIsSymbolicLink", unit_set_condition, NONE,
	 UNIT_IF_SYMLINK, 0},
	{"ConditionPathIsMountPoint AssertPathIsMountPoint", unit_set_condition, NONE,
	 UNIT_IF_MOUNT_POINT, 0},
	{"ConditionPathIsReadWrite AssertPathIsReadWrite", unit_set_condition, NONE,
	 UNIT_IF_WRITABLE, 0},
	{"ConditionDirectoryNotEmpty AssertDirectoryNotEmpty", unit_set_condition, NONE,
	 UNIT_IF_NOT_EMPTY_DIR, 0},
	{"ConditionFileNotEmpty AssertFileNotEmpty", unit_set_condition, NONE,
	 UNIT_IF_NOT_EMPTY_FILE, 0},
	{"ConditionFileIsExecutable AssertFileIsExecutable", unit_set_condition, NONE,
	 UNIT_IF_EXECUTABLE, 0},
	{"ConditionKernelCommandLine AssertKernelCommandLine", unit_set_condition, NONE,
	 UNIT_IF_KERNEL_WORD, 0},
	{"ConditionCapability AssertCapability", unit_set_condition, NONE, UNIT_IF_CAPABILITY, 0},
	{"ConditionUser AssertUser", unit_set_condition, NONE, UNIT_IF_USER, 0},
	{"ConditionVirtualization AssertVirtualization", unit_set_condition, NONE, UNIT_IF_VIRTUAL,
	 0},
};

static const struct directive install_rows[] = {
	{"WantedBy RequiredBy UpheldBy Also Alias DefaultInstance", unit_set_ignored, NONE, 0, 0},
};

static const struct directive socket_rows[] = {
	{"ListenStream", unit_set_listen, NONE, UNIT_STREAM, 0},
	{"ListenDatagram", unit_set_listen, NONE, UNIT_DATAGRAM, 0},
	{"ListenSequentialPacket", unit_set_listen, NONE, UNIT_SEQPACKET, 0},
	{"Accept FlushPending", unit_set_fixed, NONE, false, 0},
	/* For Accept=yes and for who reads a FIFO. */
	{"MaxConnections MaxConnectionsPerSource PipeSize Writable", unit_set_ignored, NONE, 0, 0},
	{"TriggerLimitIntervalSec TriggerLimitBurst PollLimitIntervalSec PollLimitBurst",
	 unit_set_limit, NONE, 0, 0},
	{"Service", unit_set_service_name, SOCKET(service), 0, 0},
	{"FileDescriptorName", unit_set_file_name, SOCKET(fd_name), 0, 0},
	{"SocketUser", unit_set_user, SOCKET(user), 0, 0},
	{"SocketGroup", unit_set_user, SOCKET(group), 0, 0},
	{"SocketMode", unit_set_octal, SOCKET(mode), 07777, 0},
	{"DirectoryMode", unit_set_octal, SOCKET(directory_mode), 07777, 0},
	{"Symlinks", unit_set_paths, SOCKET(symlinks), 0, 0},
	{"Backlog", unit_set_u32, SOCKET(backlog), UINT32_MAX, 0},
	{"BindIPv6Only", unit_set_word, SOCKET(bind_v6), 0, bind_v6},
	{"BindToDevice", unit_set_device_name, SOCKET(device), 0, 0},
	{"FreeBind", unit_set_bool, SOCKET(free_bind), 0, 0},
	{"ReusePort", unit_set_bool, SOCKET(reuse_port), 0, 0},
	{"Broadcast", unit_set_bool, SOCKET(broadcast), 0, 0},
	{"NoDelay", unit_set_bool, SOCKET(no_delay), 0, 0},
	{"KeepAlive", unit_set_bool, SOCKET(keep_alive), 0, 0},
	{"KeepAliveTimeSec", unit_set_span, SOCKET(keep_alive_ns), 0, 0},
	{"KeepAliveIntervalSec", unit_set_span, SOCKET(keep_alive_interval_ns), 0, 0},
	{"KeepAliveProbes", unit_set_u32, SOCKET(keep_alive_probes), 127, 0},
	{"DeferAcceptSec", unit_set_span, SOCKET(defer_accept_ns), 0, 0},
	{"TCPCongestion", unit_set_device_name, SOCKET(congestion), 0, 0},
	{"Priority", unit_set_int, SOCKET(priority), UNIT_RANGE(0, 6), 0},
	{"IPTTL", unit_set_int, SOCKET(ttl), UNIT_RANGE(1, 255), 0},
	{"IPTOS", unit_set_int, SOCKET(tos), UNIT_RANGE(0, 255), tos},
	{"RemoveOnStop", unit_set_bool, SOCKET(remove_on_stop), 0, 0},
	{"PassCredentials", unit_set_bool, SOCKET(pass_credentials), 0, 0},
	{"PassSecurity", unit_set_bool, SOCKET(pass_security), 0, 0},
	{"PassPacketInfo", unit_set_bool, SOCKET(pass_packet_info), 0, 0},
	{"Timestamping", unit_set_timestamping, NONE, 0, 0},
	{"ReceiveBuffer", unit_set_size, SOCKET(receive_buffer), 0, 0},
	{"SendBuffer", unit_set_size, SOCKET(send_buffer), 0, 0},
};

#define DIR(i, name)                                                                               \
	{name, unit_set_dirs, SERVICE(dirs[i].names), 0, 0},                                       \
	{                                                                                          \
		name "Mode", unit_set_octal, SERVICE(dirs[i].mode), 07777, 0                       \
	}

static const struct directive service_rows[] = {
	{"Type", unit_set_word, SERVICE(type), 0, types},
	{"NotifyAccess", unit_set_word_bool, SERVICE(main_only), 0, accesses},
	{"ExecStartPre", unit_set_exec, NONE, UNIT_PRE, 0},
	{"ExecStart", unit_set_exec, NONE, UNIT_START, 0},
	{"ExecStartPost", unit_set_exec, NONE, UNIT_POST, 0},
	{"ExecStop", unit_set_exec, NONE, UNIT_STOP, 0},
	/* Nothing here asks for a reload, nor for what is only used by a type we refuse; logs are
	 * the daemon's; who was restarted was not stopped by us. */
	{"ExecReload PIDFile BusName GuessMainPID SyslogIdentifier SyslogFacility SyslogLevel "
	 "SyslogLevelPrefix LogLevelMax LogRateLimitIntervalSec LogRateLimitBurst "
	 "RestartKillSignal "
	 "TimeoutAbortSec FinalKillSignal CPUAccounting MemoryAccounting TasksAccounting "
	 "IOAccounting BlockIOAccounting PassEnvironment RemoveIPC ReloadSignal",
	 unit_set_ignored, NONE, 0, 0},
	{"StartLimitIntervalSec StartLimitInterval StartLimitBurst", unit_set_limit, NONE, 0, 0},
	{"PermissionsStartOnly", unit_set_bool, SERVICE(permissions_start_only), 0, 0},
	{"Sockets", unit_set_sockets, SERVICE(sockets), 0, 0},
	{"Slice", unit_set_slice, NONE, 0, 0},
	{"User", unit_set_user, SERVICE(user), 0, 0},
	{"Group", unit_set_user, SERVICE(group), 0, 0},
	{"SupplementaryGroups", unit_set_groups, SERVICE(groups), 0, 0},
	{"WorkingDirectory", unit_set_directory, SERVICE(working_directory), 0, 0},
	{"Environment", unit_set_environment, SERVICE(environment), 0, 0},
	{"EnvironmentFile", unit_set_env_file, SERVICE(environment_files), 0, 0},
	{"UnsetEnvironment", unit_set_variables, SERVICE(unset_environment), 0, 0},
	{"UMask", unit_set_octal, SERVICE(umask), 0777, 0},
	{"StandardInput", unit_set_only, NONE, 0, inputs},
	{"StandardOutput", unit_set_output, SERVICE(out), 0, 0},
	{"StandardError", unit_set_output, SERVICE(err), 0, 0},
	{"NonBlocking", unit_set_bool, SERVICE(non_blocking), 0, 0},
	{"IgnoreSIGPIPE", unit_set_bool, SERVICE(sigpipe_ignored), 0, 0},
	{"TimeoutStartSec", unit_set_span, SERVICE(timeout_start_ns), 1, 0},
	{"TimeoutStopSec", unit_set_span, SERVICE(timeout_stop_ns), 1, 0},
	{"TimeoutSec", unit_set_timeouts, NONE, 0, 0},
	{"TimeoutStartFailureMode TimeoutStopFailureMode", unit_set_only, NONE, 0, terminate},
	{"RuntimeMaxSec", unit_set_only, NONE, 0, infinite},
	{"OOMPolicy", unit_set_only, NONE, 0, oom_policies},
	{"KillSignal", unit_set_signal, SERVICE(kill_signal), 0, 0},
	{"KillMode", unit_set_word, SERVICE(kill_mode), 0, kill_modes},
	{"SendSIGKILL", unit_set_fixed, NONE, true, 0},
	{"SendSIGHUP", unit_set_fixed, NONE, false, 0},
	{"Restart", unit_set_word, SERVICE(restart), 0, restarts},
	{"RestartSec", unit_set_span, SERVICE(restart_ns), 0, 0},
	{"SuccessExitStatus", unit_set_statuses, SERVICE(success), 0, 0},
	{"RestartPreventExitStatus", unit_set_statuses, SERVICE(restart_prevent), 0, 0},
	{"RestartForceExitStatus", unit_set_statuses, SERVICE(restart_force), 0, 0},
	{"WatchdogSec", unit_set_watchdog, SERVICE(watchdog_ns), 0, 0},
	{"FileDescriptorStoreMax", unit_set_zero, NONE, 0, 0},

	{"MemoryMax MemoryLimit", unit_set_memory, SERVICE(memory_max), 0, 0},
	{"TasksMax", unit_set_tasks, SERVICE(tasks_max), 0, 0},
	{"CPUQuota", unit_set_quota, SERVICE(cpu_quota), 0, 0},
	{"CPUWeight", unit_set_cpu_weight, SERVICE(cpu_weight), 0, 0},
	{"IOWeight", unit_set_weight, SERVICE(io_weight), 0, 0},
	{"LimitAS", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_AS]), 0, 0},
	{"LimitCORE", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_CORE]), 0, 0},
	{"LimitCPU", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_CPU]), UNIT_LIMIT_IN_S, 0},
	{"LimitDATA", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_DATA]), 0, 0},
	{"LimitFSIZE", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_FSIZE]), 0, 0},
	{"LimitLOCKS", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_LOCKS]), 0, 0},
	{"LimitMEMLOCK", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_MEMLOCK]), 0, 0},
	{"LimitMSGQUEUE", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_MSGQUEUE]), 0, 0},
	{"LimitNICE", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_NICE]), 0, 0},
	{"LimitNOFILE", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_NOFILE]), 0, 0},
	{"LimitNPROC", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_NPROC]), 0, 0},
	{"LimitRSS", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_RSS]), 0, 0},
	{"LimitRTPRIO", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_RTPRIO]), 0, 0},
	{"LimitRTTIME", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_RTTIME]), UNIT_LIMIT_IN_US, 0},
	{"LimitSIGPENDING", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_SIGPENDING]), 0, 0},
	{"LimitSTACK", unit_set_rlimit, SERVICE(rlimits[UNIT_LIMIT_STACK]), 0, 0},
	{"Nice", unit_set_nice, SERVICE(nice), UNIT_RANGE(-20, 19), 0},
	{"OOMScoreAdjust", unit_set_oom_score, SERVICE(oom_score_adjust), UNIT_RANGE(-1000, 1000),
	 0},

	DIR(UNIT_DIR_RUN, "RuntimeDirectory"),
	DIR(UNIT_DIR_STATE, "StateDirectory"),
	DIR(UNIT_DIR_CACHE, "CacheDirectory"),
	DIR(UNIT_DIR_LOGS, "LogsDirectory"),
	DIR(UNIT_DIR_CONFIG, "ConfigurationDirectory"),
	{"RuntimeDirectoryPreserve", unit_set_word, SERVICE(preserve), 0, preserves},

	{"PrivateNetwork", unit_set_bool, SERVICE(private_network), 0, 0},
	{"PrivateTmp", unit_set_bool, SERVICE(private_tmp), 0, 0},
	{"PrivateUsers", unit_set_word, SERVICE(private_users), 0, users},
	{"ProtectSystem", unit_set_word, SERVICE(protect_system), 0, protects},
	{"ProtectHome", unit_set_word, SERVICE(protect_home), 0, homes},
	{"ProtectProc", unit_set_word, SERVICE(protect_proc), 0, procs},
	{"ProcSubset", unit_set_word_bool, SERVICE(proc_pids_only), 0, proc_subsets},
	{"ReadWritePaths ReadWriteDirectories", unit_set_paths, SERVICE(read_write), 0, 0},
	{"ReadOnlyPaths ReadOnlyDirectories", unit_set_paths, SERVICE(read_only), 0, 0},
	{"InaccessiblePaths InaccessibleDirectories", unit_set_paths, SERVICE(inaccessible), 0, 0},
	{"ExecPaths", unit_set_paths, SERVICE(exec), 0, 0},
	{"NoExecPaths", unit_set_paths, SERVICE(no_exec), 0, 0},
	{"BindPaths", unit_set_binds, SERVICE(binds), 0, 0},
	{"BindReadOnlyPaths", unit_set_binds, SERVICE(binds_ro), 0, 0},
	{"TemporaryFileSystem", unit_set_empty, SERVICE(empty), 0, 0},
	{"RestrictAddressFamilies", unit_set_filter, SERVICE(families), 1, 0},
	{"SystemCallFilter", unit_set_filter, SERVICE(syscalls), 0, 0},
	{"SystemCallErrorNumber", unit_set_errno, SERVICE(syscall_errno), 0, 0},
	{"SystemCallArchitectures", unit_set_only, NONE, 0, native},
	{"LockPersonality", unit_set_bool, SERVICE(lock_personality), 0, 0},
	{"RestrictRealtime", unit_set_bool, SERVICE(restrict_realtime), 0, 0},
	{"MemoryDenyWriteExecute", unit_set_bool, SERVICE(deny_write_execute), 0, 0},
	{"CapabilityBoundingSet", unit_set_caps, SERVICE(caps), 0, 0},
	{"AmbientCapabilities", unit_set_caps, SERVICE(ambient), 0, 0},
	{"KeyringMode", unit_set_only, NONE, 0, keyrings},
	{"DevicePolicy", unit_set_only, NONE, 0, device_policies},
	{"DeviceAllow", unit_set_device, NONE, 0, 0},

	/* What the sandbox does to every service. */
	{"NoNewPrivileges PrivateDevices PrivateIPC PrivateMounts ProtectKernelTunables "
	 "ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectClock ProtectHostname "
	 "RestrictSUIDSGID",
	 unit_set_fixed, NONE, true, 0},
	{"RestrictNamespaces", unit_set_namespaces, NONE, 0, 0},
	/* What it does to none. */
	{"DynamicUser RemainAfterExit Delegate", unit_set_fixed, NONE, false, 0},

	{"X-Forewarm-Proxy", unit_set_proxy, NONE, 0, 0},
	{"X-Forewarm-Pool", unit_set_u32, SERVICE(pool_n), 64, 0},
	{"X-Forewarm-Weight", unit_set_weight, SERVICE(weight), 0, 0},
	{"X-Forewarm-FreezeAfterSec", unit_set_window, SERVICE(freeze_after_ns), 0, 0},
	{"X-Forewarm-ReleaseAfterSec", unit_set_window, SERVICE(release_after_ns), 1, 0},
	{"X-Forewarm-Prestart", unit_set_bool, SERVICE(prestart), 0, 0},
	{"X-Forewarm-MayStop", unit_set_bool, SERVICE(may_stop), 0, 0},
	{"X-Forewarm-MayRest", unit_set_bool, SERVICE(may_rest), 0, 0},
};

#define ROWS(section, rows)                                                                        \
	{                                                                                          \
		section, rows, ARRAY_SIZE(rows)                                                    \
	}

static const struct {
	const char *name;
	const struct directive *rows;
	size_t row_n;
} sections[] = {
	ROWS("Unit", unit_rows),
	ROWS("Install", install_rows),
	ROWS("Socket", socket_rows),
	ROWS("Service", service_rows),
};

static bool has_key(const char *keys, const char *key)
{
	size_t n = strlen(key);

	for (; *keys; keys += strspn(keys, " ")) {
		size_t len = strcspn(keys, " ");

		if (len == n && memcmp(keys, key, n) == 0)
			return true;
		keys += len;
	}
	return false;
}

bool unit_directive(const char *section, const char *key, struct directive *ret, bool *ret_known)
{
	*ret_known = false;
	for (size_t s = 0; s < ARRAY_SIZE(sections); s++)
		for (size_t i = 0; i < sections[s].row_n; i++) {
			if (!has_key(sections[s].rows[i].key, key))
				continue;
			*ret_known = true;
			if (strcmp(sections[s].name, section) != 0)
				continue;
			*ret = sections[s].rows[i];
			ret->key = key;
			return true;
		}
	return false;
}

/* --- what a unit is without a directive ------------------------------------------------------------ */

static void defaults(struct unit *u)
{
	u->description = NULL;
	u->condition_n = u->note_n = 0;
	u->socket = (struct unit_socket){.mode = 0666,
					 .directory_mode = 0755,
					 .backlog = UINT32_MAX,
					 .priority = -1,
					 .ttl = -1,
					 .tos = -1};
	u->service = (struct unit_service){
		.main_only = true,
		.umask = 0022,
		.kill_signal = SIGNAL_TERM,
		.sigpipe_ignored = true,
		.out = UNIT_OUTPUT_JOURNAL,
		.err = UNIT_OUTPUT_INHERIT,
		.timeout_start_ns = 90000000000u, /* systemd's DefaultTimeoutStartSec= */
		.timeout_stop_ns = 90000000000u,
		.restart_ns = 100000000u,
		.memory_max = UNIT_NO_LIMIT,
		.tasks_max = UNIT_NO_LIMIT,
		.syscall_errno =
			EPERM, /* systemd kills; a refusal is what Docker and we default to */
		.pool_n = 0,
		.weight = 100,
		.freeze_after_ns = UNIT_FOREVER,
		.release_after_ns = UNIT_FOREVER,
		.freeze = true,
		.release = true,
		.prestart = true,
		.may_stop = true,
		.may_rest = true,
	};
	for (size_t i = 0; i < UNIT_DIR_MAX; i++)
		u->service.dirs[i].mode = 0755;
}

/* Every list there is, and how long it may be. */
static const struct {
	size_t at, item_max;
} all_lists[] = {
#define LIST(f, max)                                                                               \
	{                                                                                          \
		offsetof(struct unit, f), max                                                      \
	}
	LIST(socket.symlinks, UNIT_PATH_MAX),
	LIST(service.words, UNIT_ARGS_MAX),
	LIST(service.sockets, UNIT_LISTEN_MAX),
	LIST(service.environment, UNIT_ENV_MAX),
	LIST(service.unset_environment, UNIT_ENV_MAX),
	LIST(service.environment_files, UNIT_PATH_MAX),
	LIST(service.read_write, UNIT_PATH_MAX),
	LIST(service.read_only, UNIT_PATH_MAX),
	LIST(service.inaccessible, UNIT_PATH_MAX),
	LIST(service.empty, UNIT_PATH_MAX),
	LIST(service.exec, UNIT_PATH_MAX),
	LIST(service.no_exec, UNIT_PATH_MAX),
	LIST(service.binds, UNIT_PATH_MAX),
	LIST(service.binds_ro, UNIT_PATH_MAX),
	LIST(service.groups, UNIT_WORD_MAX),
	LIST(service.families, UNIT_WORD_MAX),
	LIST(service.syscalls, UNIT_WORD_MAX),
	LIST(service.dirs[UNIT_DIR_RUN].names, UNIT_DIRS_MAX),
	LIST(service.dirs[UNIT_DIR_STATE].names, UNIT_DIRS_MAX),
	LIST(service.dirs[UNIT_DIR_CACHE].names, UNIT_DIRS_MAX),
	LIST(service.dirs[UNIT_DIR_LOGS].names, UNIT_DIRS_MAX),
	LIST(service.dirs[UNIT_DIR_CONFIG].names, UNIT_DIRS_MAX),
#undef LIST
};

size_t unit_items_max(void)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all_lists); i++)
		n += all_lists[i].item_max + 1;
	return n;
}

void unit_defaults(struct unit *u)
{
	defaults(u);
	u->item_n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(all_lists); i++)
		unit_list_init(u, (struct unit_list *)((char *)u + all_lists[i].at),
			       all_lists[i].item_max);
}

/* Lists, and what is more than one field, are the reader's own business. */
bool unit_put_default(struct parse *p, const struct directive *d)
{
	static unit_reader *const own[] = {unit_set_window,   unit_set_memory,	  unit_set_tasks,
					   unit_set_nice,     unit_set_directory, unit_set_caps,
					   unit_set_oom_score};
	struct unit fresh = {0};

	if (!d->size || d->size == sizeof(struct unit_list))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (d->set == own[i])
			return false;
	defaults(&fresh);
	memcpy(unit_field(p, d), (const char *)&fresh + d->at, d->size);
	return true;
}
