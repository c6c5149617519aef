/* What a power cut would leave: after each sync that succeeded, a file named by the inode, in the folder that
   EONKV_SYNCED names, holds how long the synced file was before it, eight bytes. By inode and not by name, as a
   kill may come between two renames. Loaded into the server by LD_PRELOAD; see tests/power.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static void note(const struct stat *before)
{
    const char *folder = getenv("EONKV_SYNCED");
    char path[4096];
    if (folder == NULL)
        return;
    snprintf(path, sizeof path, "%s/%llu", folder, (unsigned long long)before->st_ino);
    int out = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (out < 0)
        return;
    if (pwrite(out, &before->st_size, sizeof before->st_size, 0) < 0)
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
        note(&before);
    return result;
}

int fsync(int fd) { return run(fd, "fsync"); }

int fdatasync(int fd) { return run(fd, "fdatasync"); }
