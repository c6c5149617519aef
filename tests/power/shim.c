/* What a power cut would leave: after each sync that succeeded, NAME.synced holds how long NAME was before it,
   eight bytes. Loaded into the server by LD_PRELOAD; see tests/power.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST 4096
#define SUFFIX ".synced"

typedef int (*sync_call)(int);
typedef int (*rename_call)(const char *, const char *);

static void note(int fd, off_t length)
{
    char link[64], path[LONGEST + sizeof SUFFIX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, LONGEST);
    if (len <= 0)
        return;
    strcpy(path + len, SUFFIX);
    int out = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (out < 0)
        return;
    if (pwrite(out, &length, sizeof length, 0) < 0)
        perror(path);
    close(out);
}

static int run(int fd, const char *name)
{
    sync_call real = (sync_call)dlsym(RTLD_NEXT, name);
    struct stat before;
    int is_file = fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
    int result = real(fd);
    if (result == 0 && is_file)
        note(fd, before.st_size);
    return result;
}

int fsync(int fd) { return run(fd, "fsync"); }

int fdatasync(int fd) { return run(fd, "fdatasync"); }

int rename(const char *from, const char *to)
{
    rename_call real = (rename_call)dlsym(RTLD_NEXT, "rename");
    int result = real(from, to);
    char old[LONGEST + sizeof SUFFIX], new[LONGEST + sizeof SUFFIX];
    if (result == 0 && strlen(from) < LONGEST && strlen(to) < LONGEST) {
        snprintf(old, sizeof old, "%s" SUFFIX, from);
        snprintf(new, sizeof new, "%s" SUFFIX, to);
        real(old, new); /* there may be none */
    }
    return result;
}
