/* Sets the time of day of one process; for LD_PRELOAD. The file named by SET_CLOCK_FILE holds seconds
 * that are added to the time, or after a '=' a constant time. Monotonic clocks do not change. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void set(struct timespec *now)
{
	char text[32] = {0};
	const char *path = getenv("SET_CLOCK_FILE");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (file < 0)
		return;
	if (read(file, text, sizeof text - 1) < 0)
		text[0] = 0;
	close(file);
	if (text[0] == '=')
		*now = (struct timespec){.tv_sec = atoll(text + 1)};
	else
		now->tv_sec += atoll(text);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, now);
	if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		set(now);
	return failed;
}
