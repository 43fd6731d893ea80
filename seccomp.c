/* seccomp.c -- see seccomp.h. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__ARM_EABI__)
#define ARCHITECTURE AUDIT_ARCH_ARM
#else
#define ARCHITECTURE 0          /* no list was made and tried for this processor */
#endif

/* A filter program reads 32 bits at a time; all these processors are little-endian. */
#define OFFSET_NUMBER       offsetof(struct seccomp_data, nr)
#define OFFSET_ARCHITECTURE offsetof(struct seccomp_data, arch)
#define OFFSET_PROTECTION   offsetof(struct seccomp_data, args[2])

#define FRONT  SECCOMP_FRONT
#define WRITER SECCOMP_WRITER
#define HASHER SECCOMP_HASHER
#define ALL    (FRONT | WRITER | HASHER)

/* Who may call what, often called ones first. */
static const struct {
	uint32_t number;
	uint32_t roles;
	bool not_executable;            /* as long as PROT_EXEC is not asked for */
} calls[] = {
#ifdef __NR_epoll_wait
	{ __NR_epoll_wait,       FRONT,          false },
	{ __NR_poll,             WRITER|HASHER,  false },
#endif
	{ __NR_epoll_pwait,      FRONT,          false },
	{ __NR_ppoll,            WRITER|HASHER,  false },
	{ __NR_read,             FRONT,          false },
	{ __NR_write,            ALL,            false },
	{ __NR_recvmsg,          ALL,            false },
	{ __NR_sendmsg,          ALL,            false },
	{ __NR_accept4,          FRONT,          false },
	{ __NR_epoll_ctl,        FRONT,          false },
	{ __NR_setsockopt,       FRONT,          false },
	{ __NR_getsockopt,       FRONT,          false },        /* SO_PEERCRED */
	{ __NR_shutdown,         FRONT,          false },
	{ __NR_close,            ALL,            false },
	/* LMDB: pages, meta page, locks of readers and writers. */
	{ __NR_pread64,          WRITER,         false },
	{ __NR_pwrite64,         WRITER,         false },
	{ __NR_writev,           ALL,            false },        /* also what assert() says */
	{ __NR_lseek,            WRITER,         false },
	{ __NR_fdatasync,        WRITER,         false },
	{ __NR_fsync,            WRITER,         false },
	{ __NR_ftruncate,        WRITER,         false },
	{ __NR_futex,            FRONT|WRITER,   false },
	{ __NR_fcntl,            FRONT|WRITER,   false },
	{ __NR_statfs,           FRONT|WRITER,   false },
	/* Memory: the heaps of LMDB and the C library, and LMDB's map when it has grown. */
#ifdef __NR_mmap
	{ __NR_mmap,             ALL,            true  },
#endif
	{ __NR_mprotect,         ALL,            true  },
	{ __NR_munmap,           ALL,            false },
	{ __NR_mremap,           ALL,            false },
	{ __NR_madvise,          ALL,            false },
	{ __NR_brk,              ALL,            false },
	/* The clock where it has no vDSO, randomness, the end. */
	{ __NR_clock_gettime,    ALL,            false },
	{ __NR_gettimeofday,     ALL,            false },
#ifdef __NR_time
	{ __NR_time,             ALL,            false },
#endif
	{ __NR_getrandom,        ALL,            false },
	{ __NR_restart_syscall,  ALL,            false },
	{ __NR_rt_sigreturn,     ALL,            false },
	{ __NR_rt_sigprocmask,   ALL,            false },
	{ __NR_rt_sigaction,     ALL,            false },
	{ __NR_getpid,           ALL,            false },
	{ __NR_gettid,           ALL,            false },
	{ __NR_tgkill,           ALL,            false },        /* abort() */
	{ __NR_exit_group,       ALL,            false },
#ifdef __ARM_EABI__     /* what 32 bits make of these: places and times of 64 */
	{ __NR_mmap2,            ALL,            true  },
	{ __NR__llseek,          WRITER,         false },
	{ __NR_ftruncate64,      WRITER,         false },
	{ __NR_fcntl64,          FRONT|WRITER,   false },
	{ __NR_statfs64,         FRONT|WRITER,   false },
	{ __NR_futex_time64,     FRONT|WRITER,   false },
	{ __NR_ppoll_time64,     WRITER|HASHER,  false },
	{ __NR_clock_gettime64,  ALL,            false },
	{ __NR_sigreturn,        ALL,            false },
#endif
};

#define HEAD_LEN  4     /* instructions in front of the list, and for one line of it */
#define ENTRY_MAX 5

struct program {
	struct sock_filter code[HEAD_LEN + COUNT_OF(calls) * ENTRY_MAX + 1];
	unsigned short len;
};

static void put(struct program *p, uint16_t code, size_t k, uint8_t if_true, uint8_t if_false)
{
	p->code[p->len++] = (struct sock_filter){ code, if_true, if_false, (uint32_t)k };
}

static void put_load(struct program *p, size_t offset)
{
	put(p, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void put_verdict(struct program *p, uint32_t verdict)
{
	put(p, BPF_RET | BPF_K, verdict, 0, 0);
}

/* One line of the list: to the next one where the number is another. */
static void put_call(struct program *p, uint32_t number, bool not_executable)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, number, 0, not_executable ? 4 : 1);
	if (not_executable) {
		put_load(p, OFFSET_PROTECTION);
		put(p, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
		put_verdict(p, SECCOMP_RET_KILL_PROCESS);
	}
	put_verdict(p, SECCOMP_RET_ALLOW);
}

static void write_program(struct program *p, enum seccomp_role role)
{
	p->len = 0;
	put_load(p, OFFSET_ARCHITECTURE);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	put_verdict(p, SECCOMP_RET_KILL_PROCESS);
	put_load(p, OFFSET_NUMBER);
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		if ((calls[i].roles & (uint32_t)role) != 0)
			put_call(p, calls[i].number, calls[i].not_executable);
	put_verdict(p, SECCOMP_RET_KILL_PROCESS);
}

bool seccomp_enter(const struct config *config, enum seccomp_role role)
{
	struct program p;
	struct sock_fprog filter = { 0, p.code };

	if (config->seccomp == CONFIG_OFF)
		return true;
	write_program(&p, role);
	filter.len = p.len;
	/* Without SPEC_ALLOW older kernels slow a filtered process down against attacks by
	 * code that it runs for others; it runs none. */
	if (ARCHITECTURE != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
	            &filter) == 0)
		return true;
	fprintf(stderr, "sidecart: seccomp: this system refuses the filter of system calls (%s): "
	        "start with seccomp=off to go without it\n",
	        ARCHITECTURE == 0 ? "another processor" : strerror(errno));
	return false;
}
