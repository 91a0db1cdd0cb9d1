/* A disk that loses what nobody has flushed; loaded before the C library (LD_PRELOAD).

   Each flush of a file below $LOST_WRITES_DISK copies its bytes to $LOST_WRITES_KEPT/<inode>-<time of birth>: what the
   disk has for certain. After a kill, `lost_writes.py` gives every file these bytes back, and none to one never flushed.
   Flushes of files whose paths have a part that $LOST_WRITES_CONTROL names (parts stand between colons) keep nothing. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int below(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

static int is_ignored(const char *path) {
    const char *part = getenv("LOST_WRITES_CONTROL");
    char wanted[NAME_MAX];
    while (part && *part) {
        size_t length = strcspn(part, ":");
        snprintf(wanted, sizeof wanted, "%.*s", (int)length, part);
        if (length && strstr(path, wanted))
            return 1;
        part += length + (part[length] == ':');
    }
    return 0;
}

static int copy(const char *from, int folder, const char *name) {
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = openat(folder, "being copied", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t sent = source < 0 || target < 0 ? -1 : 1;
    while (sent > 0)
        sent = sendfile(target, source, NULL, 1 << 30);
    close(source);
    close(target);
    return sent < 0 ? -1 : renameat(folder, "being copied", folder, name);
}

static int flush(int file) {
    const char *disk = getenv("LOST_WRITES_DISK"), *kept = getenv("LOST_WRITES_KEPT");
    char entry[64], path[PATH_MAX], name[64];
    struct statx about;
    if (statx(file, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME | STATX_MODE, &about))
        return -1; /* of no open file */
    snprintf(entry, sizeof entry, "/proc/self/fd/%d", file);
    ssize_t length = readlink(entry, path, sizeof path - 1);
    if (!disk || !kept || length < 0 || !S_ISREG(about.stx_mode))
        return 0;
    path[length] = 0;
    if (!below(path, disk) || is_ignored(path + strlen(disk)))
        return 0;
    long long born = about.stx_mask & STATX_BTIME ? about.stx_btime.tv_sec * 1000000000LL + about.stx_btime.tv_nsec : 0;
    snprintf(name, sizeof name, "%llu-%lld", (unsigned long long)about.stx_ino, born);
    int folder = open(kept, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = folder < 0 || flock(folder, LOCK_EX) || copy(entry, folder, name); /* a copy at a time */
    close(folder);
    if (failed)
        errno = EIO;
    return failed ? -1 : 0;
}

int fsync(int file) { return flush(file); }
int fdatasync(int file) { return flush(file); }
