/* lg - a lean RESP load generator.
 *
 * Spends far less CPU per request than redis-benchmark or memtier: each
 * connection owns one pre-built buffer holding a whole pipeline of requests,
 * and before each send only the decimal digits in it are rewritten.  Replies
 * are verified by byte count (or line count, or a light RESP walk).
 *
 *   lg -p PORT [options] -- SET key:{r} {d}
 *
 * Words of the command may contain
 *   {r}   12 digits, uniform in [0, keyspace)      (a new number each time)
 *   {s}   12 digits, sequential (same number everywhere in one request)
 *   {d}   size (-d) pseudo-random printable bytes  (constant per slot)
 * and a word ";" parts several commands that together count as one request
 * (say what their replies add up to with --reply lines:N or bytes:N).
 *
 * Options
 *   -p PORT        server port on 127.0.0.1
 *   -c N           connections                               (50)
 *   -P N           pipeline depth                            (1)
 *   -t SECONDS     run this long                             (1.0)
 *   -n N           or: send exactly N requests (used by loaders)
 *   -r N           keyspace of {r}                           (1000000)
 *   -d N           size of {d}                               (64)
 *   -T N           client threads                            (1)
 *   --seq-start N  first value of {s}                        (0)
 *   --wrap         {s} wraps around at the keyspace
 *   --rate R       open loop at R requests/s in total; latencies are counted
 *                  from the intended send time (no coordinated omission)
 *   --reply MODE   bytes:N | lines:N | resp                  (resp)
 *                  bytes: every reply is exactly N bytes (checked per batch,
 *                  with the first byte and the closing CRLF);
 *                  lines: every reply is N lines;
 *                  resp: walk the reply, count errors and nulls
 *   --pid PID      read this server's CPU time (utime+stime) at both ends of
 *                  the run, connecting excluded; reports server_cpu_s
 *
 * Prints one JSON object.  server_wait_s and client_wait_s are the seconds that
 * threads stood runnable without a CPU: large values mean that other work on
 * the machine disturbed the run.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAXP 4096
#define MAXPATCH 64

static void die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "lg: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    exit(1);
}

/* ---- options ---- */
static int opt_port, opt_clients = 50, opt_pipe = 1, opt_threads = 1, opt_wrap;
static double opt_secs = 1.0, opt_rate = 0;
static uint64_t opt_n = 0, opt_keyspace = 1000000, opt_seq0 = 0;
static size_t opt_dsize = 64;
static int opt_pid = 0;
static enum { R_RESP, R_BYTES, R_LINES } opt_reply = R_RESP;
static size_t opt_replyn = 0;
static char **cmd;
static int ncmd;

/* ---- time ---- */
static inline uint64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* ---- latency histogram: 64 sub-buckets per power of two ---- */
#define SUB 6
#define NBUCKET (64 << SUB)
static inline unsigned bucket_of(uint64_t v) {
    if (v < (1u << SUB)) return (unsigned)v;
    unsigned msb = 63u - (unsigned)__builtin_clzll(v);
    return ((msb - SUB + 1) << SUB) + (unsigned)((v >> (msb - SUB)) & ((1u << SUB) - 1));
}
static uint64_t bucket_value(unsigned b) {
    if (b < (1u << SUB)) return b;
    unsigned e = (b >> SUB) - 1;
    return ((uint64_t)((1u << SUB) + (b & ((1u << SUB) - 1)))) << e;
}

/* ---- server CPU ---- */
static double proc_cpu(int pid) {
    char path[64], buf[2048];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    size_t n = fread(buf, 1, sizeof buf - 1, f);
    fclose(f);
    buf[n] = 0;
    char *p = strrchr(buf, ')');
    if (!p) return -1;
    p += 2;
    unsigned long long ut = 0, st = 0;
    /* p is at field 3; utime is field 14, stime field 15 */
    for (int field = 3; field < 14; field++) {
        p = strchr(p, ' ');
        if (!p) return -1;
        p++;
    }
    if (sscanf(p, "%llu %llu", &ut, &st) != 2) return -1;
    return (double)(ut + st) / (double)sysconf(_SC_CLK_TCK);
}

/* Seconds all threads of a process stood runnable but waiting for a CPU. */
static double proc_wait(int pid) {
    char path[300], buf[128];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    if (!d) return 0;
    double total = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.32s/schedstat", pid, e->d_name);
        int fd = open(path, O_RDONLY);
        if (fd < 0) continue;
        ssize_t n = read(fd, buf, sizeof buf - 1);
        close(fd);
        if (n <= 0) continue;
        buf[n] = 0;
        unsigned long long run, wait;
        if (sscanf(buf, "%llu %llu", &run, &wait) == 2) total += (double)wait / 1e9;
    }
    closedir(d);
    return total;
}

/* ---- request template ---- */
typedef struct {
    size_t off;
    char kind; /* 'r' or 's' */
} Patch;
static char *tmpl;
static size_t tmpl_len;
static Patch patches[MAXPATCH];
static int npatch;

static uint64_t rng_next(uint64_t *s) {
    uint64_t x = *s;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *s = x;
}

static void build_template(void) {
    size_t cap = 4096 + opt_dsize * (size_t)(ncmd + 1);
    for (int i = 0; i < ncmd; i++) cap += strlen(cmd[i]) + opt_dsize + 64;
    tmpl = malloc(cap);
    for (int i = 0; i < ncmd; i++) {
        const char *w = cmd[i];
        size_t len = 0;
        if (i == 0 || !strcmp(w, ";")) { /* a command begins: how many words has it? */
            int first = i ? i + 1 : 0, end = first;
            while (end < ncmd && strcmp(cmd[end], ";")) end++;
            tmpl_len += (size_t)sprintf(tmpl + tmpl_len, "*%d\r\n", end - first);
            if (i) continue;
        }
        for (const char *p = w; *p;) {
            if (!strncmp(p, "{r}", 3) || !strncmp(p, "{s}", 3)) len += 12, p += 3;
            else if (!strncmp(p, "{d}", 3)) len += opt_dsize, p += 3;
            else len++, p++;
        }
        tmpl_len += (size_t)sprintf(tmpl + tmpl_len, "$%zu\r\n", len);
        for (const char *p = w; *p;) {
            if (!strncmp(p, "{r}", 3) || !strncmp(p, "{s}", 3)) {
                if (npatch == MAXPATCH) die("too many {r}/{s}");
                patches[npatch].off = tmpl_len;
                patches[npatch++].kind = p[1];
                memset(tmpl + tmpl_len, '0', 12);
                tmpl_len += 12;
                p += 3;
            } else if (!strncmp(p, "{d}", 3)) {
                memset(tmpl + tmpl_len, 1, opt_dsize); /* filled per slot */
                tmpl_len += opt_dsize;
                p += 3;
            } else
                tmpl[tmpl_len++] = *p++;
        }
        memcpy(tmpl + tmpl_len, "\r\n", 2);
        tmpl_len += 2;
    }
}

static char lut3[1000][3];
static inline void put12(char *p, uint64_t v) {
    /* the template already has twelve zeros; most numbers fit in six digits */
    uint32_t lo = (uint32_t)(v % 1000000u);
    memcpy(p + 6, lut3[lo / 1000], 3);
    memcpy(p + 9, lut3[lo % 1000], 3);
    uint64_t hi = v / 1000000u;
    memcpy(p, lut3[(hi / 1000) % 1000], 3);
    memcpy(p + 3, lut3[hi % 1000], 3);
}

/* ---- connections ---- */
typedef struct {
    int fd;
    int inflight;     /* requests awaited in this batch (0: idle) */
    int batch;        /* requests in this batch */
    size_t wlen, woff;
    size_t got;       /* bytes (R_BYTES) or lines (R_LINES) so far */
    int replies;      /* complete replies so far (R_RESP) */
    /* RESP walker state */
    int64_t skip;     /* bulk bytes still to skip, CRLF included */
    int64_t need;     /* elements that still complete the current reply */
    char line[32];
    int linelen;
    int atstart;      /* R_LINES: next byte starts a line */
    char last;
    int want_out;
    uint64_t t0;
    uint64_t due;
    char *wbuf;
} Conn;

typedef struct {
    pthread_t tid;
    int id, ep;
    Conn *conns;
    int nconn;
    uint64_t rng;
    uint64_t seq, seq_step;
    uint64_t ops, errors, nulls, bytes, budget;
    uint64_t *hist;
    char *rbuf;
    uint64_t t_end;
    int active;
} Worker;

#define RBUF (256 * 1024)

static pthread_barrier_t start_bar, end_bar;
static uint64_t g_start, g_deadline;
static double g_cpu0;

static int dial(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) die("socket: %s", strerror(errno));
    struct sockaddr_in a = {0};
    a.sin_family = AF_INET;
    a.sin_port = htons((uint16_t)opt_port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) die("connect: %s", strerror(errno));
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void set_events(Worker *w, Conn *c, int out) {
    if (c->want_out == out) return;
    c->want_out = out;
    struct epoll_event ev = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(w->ep, EPOLL_CTL_MOD, c->fd, &ev);
}

static void flush_conn(Worker *w, Conn *c) {
    while (c->woff < c->wlen) {
        ssize_t n = write(c->fd, c->wbuf + c->woff, c->wlen - c->woff);
        if (n < 0) {
            if (errno == EAGAIN) {
                set_events(w, c, 1);
                return;
            }
            if (errno == EINTR) continue;
            die("write: %s", strerror(errno));
        }
        c->woff += (size_t)n;
    }
    set_events(w, c, 0);
}

static void send_batch(Worker *w, Conn *c, uint64_t t) {
    int b = opt_pipe;
    if (opt_n) {
        if (w->budget == 0) {
            w->active--;
            c->inflight = 0;
            return;
        }
        if ((uint64_t)b > w->budget) b = (int)w->budget;
        w->budget -= (uint64_t)b;
    }
    if (npatch) {
        char *base = c->wbuf;
        for (int i = 0; i < b; i++, base += tmpl_len) {
            uint64_t s = w->seq;
            if (opt_wrap) s %= opt_keyspace;
            for (int k = 0; k < npatch; k++) {
                uint64_t v = s;
                if (patches[k].kind == 'r') {
                    v = (uint64_t)(((__uint128_t)rng_next(&w->rng) * opt_keyspace) >> 64);
                }
                put12(base + patches[k].off, v);
            }
            w->seq += w->seq_step;
        }
    }
    c->wlen = tmpl_len * (size_t)b;
    c->woff = 0;
    c->batch = c->inflight = b;
    c->got = 0;
    c->replies = 0;
    c->t0 = t;
    flush_conn(w, c);
}

/* Returns 1 when the batch's replies are complete. */
static int feed(Worker *w, Conn *c, const char *p, size_t n) {
    w->bytes += n;
    if (opt_reply == R_BYTES) {
        if (c->got == 0 && *p == '-') {
            const char *e = memchr(p, '\n', n);
            die("error reply: %.*s", (int)((e ? e : p + n) - p), p);
        }
        c->got += n;
        c->last = p[n - 1];
        size_t want = opt_replyn * (size_t)c->batch;
        if (c->got > want) die("reply bytes: got %zu, expected %zu", c->got, want);
        if (c->got == want) {
            if (c->last != '\n') die("batch does not end in CRLF");
            return 1;
        }
        return 0;
    }
    if (opt_reply == R_LINES) {
        const char *end = p + n;
        while (p < end) {
            if (c->atstart && *p == '-') w->errors++;
            const char *e = memchr(p, '\n', (size_t)(end - p));
            if (!e) {
                c->atstart = 0;
                return 0;
            }
            c->got++;
            c->atstart = 1;
            p = e + 1;
        }
        size_t want = opt_replyn * (size_t)c->batch;
        if (c->got > want) die("reply lines: got %zu, expected %zu", c->got, want);
        return c->got == want;
    }
    /* RESP walk: `need` elements still complete the current reply. */
    const char *end = p + n;
    while (p < end) {
        if (c->skip) {
            size_t k = (size_t)(end - p);
            if ((int64_t)k > c->skip) k = (size_t)c->skip;
            c->skip -= (int64_t)k;
            p += k;
            if (c->skip) return 0;
        } else {
            const char *e = memchr(p, '\n', (size_t)(end - p));
            size_t k = (size_t)((e ? e : end) - p);
            size_t room = sizeof c->line - 1 - (size_t)c->linelen;
            size_t cp = k < room ? k : room;
            memcpy(c->line + c->linelen, p, cp);
            c->linelen += (int)cp;
            if (!e) return 0;
            p = e + 1;
            c->line[c->linelen] = 0;
            c->linelen = 0;
            char type = c->line[0];
            if (type == '$' || type == '*' || type == '%' || type == '~' || type == '>') {
                long long v = atoll(c->line + 1);
                if (v < 0) w->nulls++;
                else if (type == '$') {
                    c->skip = v + 2;
                    continue; /* the element ends with its body */
                } else
                    c->need += type == '%' ? 2 * v : v;
            } else if (type == '-') {
                if (w->errors++ == 0) fprintf(stderr, "lg: first error: %s\n", c->line);
            } else if (!strchr("+:_,#(", type))
                die("unexpected reply type 0x%02x", (unsigned char)type);
        }
        if (--c->need == 0) {
            c->need = 1;
            c->replies++;
        }
    }
    if (c->replies > c->batch) die("too many replies");
    return c->replies == c->batch;
}

static void *worker(void *arg) {
    Worker *w = arg;
    struct epoll_event evs[1024];
    w->ep = epoll_create1(0);
    for (int i = 0; i < w->nconn; i++) {
        Conn *c = &w->conns[i];
        c->fd = dial();
        c->atstart = 1;
        c->need = 1;
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(w->ep, EPOLL_CTL_ADD, c->fd, &ev);
        c->wbuf = malloc(tmpl_len * (size_t)opt_pipe);
        for (int k = 0; k < opt_pipe; k++) {
            char *b = c->wbuf + tmpl_len * (size_t)k;
            memcpy(b, tmpl, tmpl_len);
            for (size_t j = 0; j < tmpl_len; j++)
                if (b[j] == 1)
                    b[j] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_."
                        [rng_next(&w->rng) & 63];
        }
    }
    pthread_barrier_wait(&start_bar); /* all connected */
    pthread_barrier_wait(&start_bar); /* clock started */
    uint64_t t = now_ns();
    w->active = w->nconn;
    double gap = 0;
    if (opt_rate > 0) {
        /* each connection's own period */
        gap = 1e9 * (double)opt_pipe * (double)opt_clients / opt_rate;
        for (int i = 0; i < w->nconn; i++)
            w->conns[i].due = g_start + (uint64_t)(gap * ((double)i * opt_threads + w->id) / opt_clients);
    } else
        for (int i = 0; i < w->nconn; i++) send_batch(w, &w->conns[i], t);
    int next_rr = 0; /* rate mode: connections are due in round-robin order */
    while (w->active > 0) {
        int timeout = 1000;
        if (opt_rate > 0) {
            t = now_ns();
            for (int scanned = 0; scanned < w->nconn; scanned++) {
                Conn *c = &w->conns[next_rr];
                if (c->inflight || c->due > t || t >= g_deadline) break;
                uint64_t due = c->due;
                send_batch(w, c, due);
                c->due = due + (uint64_t)gap;
                next_rr = next_rr + 1 == w->nconn ? 0 : next_rr + 1;
            }
            timeout = 0;
            if (t >= g_deadline) {
                int busy = 0;
                for (int i = 0; i < w->nconn; i++) busy += w->conns[i].inflight != 0;
                if (!busy) break;
                if (t > g_deadline + 2000000000ull) break;
            }
        }
        int n;
        uint64_t idle = 0; /* rate mode: sleep until shortly before the next due time */
        if (opt_rate > 0) {
            Conn *c = &w->conns[next_rr];
            uint64_t t2 = now_ns(), due = c->inflight || t2 >= g_deadline ? t2 + 1000000 : c->due;
            if (due > t2 + 20000) idle = due - t2 - 8000;
        }
        if (idle) {
            struct timespec ts = {(time_t)(idle / 1000000000ull), (long)(idle % 1000000000ull)};
            n = epoll_pwait2(w->ep, evs, 1024, &ts, NULL);
        } else
            n = epoll_wait(w->ep, evs, 1024, timeout);
        for (int i = 0; i < n; i++) {
            Conn *c = evs[i].data.ptr;
            if (evs[i].events & EPOLLOUT) flush_conn(w, c);
            if (!(evs[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
            ssize_t r = read(c->fd, w->rbuf, RBUF);
            if (r < 0) {
                if (errno == EAGAIN || errno == EINTR) continue;
                die("read: %s", strerror(errno));
            }
            if (r == 0) die("server closed the connection");
            if (!feed(w, c, w->rbuf, (size_t)r)) continue;
            t = now_ns();
            w->ops += (uint64_t)c->batch;
            w->hist[bucket_of(t - c->t0)]++;
            c->inflight = 0;
            if (opt_rate > 0) continue;
            if (!opt_n && t >= g_deadline) {
                w->active--;
                continue;
            }
            send_batch(w, c, t);
        }
        if (n == 0 && opt_rate == 0) {
            if (now_ns() > g_deadline + 20000000000ull) die("stalled for 20 s");
        }
    }
    w->t_end = now_ns();
    pthread_barrier_wait(&end_bar); /* main reads the waits, then all leave */
    pthread_barrier_wait(&end_bar);
    return NULL;
}

int main(int argc, char **argv) {
    int i = 1;
    for (; i < argc; i++) {
        char *a = argv[i];
        if (!strcmp(a, "--")) {
            i++;
            break;
        }
#define NEXT (++i < argc ? argv[i] : (die("%s needs a value", a), ""))
        if (!strcmp(a, "-p")) opt_port = atoi(NEXT);
        else if (!strcmp(a, "-c")) opt_clients = atoi(NEXT);
        else if (!strcmp(a, "-P")) opt_pipe = atoi(NEXT);
        else if (!strcmp(a, "-t")) opt_secs = atof(NEXT);
        else if (!strcmp(a, "-n")) opt_n = strtoull(NEXT, 0, 10);
        else if (!strcmp(a, "-r")) opt_keyspace = strtoull(NEXT, 0, 10);
        else if (!strcmp(a, "-d")) opt_dsize = strtoull(NEXT, 0, 10);
        else if (!strcmp(a, "-T")) opt_threads = atoi(NEXT);
        else if (!strcmp(a, "--seq-start")) opt_seq0 = strtoull(NEXT, 0, 10);
        else if (!strcmp(a, "--wrap")) opt_wrap = 1;
        else if (!strcmp(a, "--rate")) opt_rate = atof(NEXT);
        else if (!strcmp(a, "--pid")) opt_pid = atoi(NEXT);
        else if (!strcmp(a, "--reply")) {
            char *m = NEXT;
            if (!strncmp(m, "bytes:", 6)) opt_reply = R_BYTES, opt_replyn = strtoull(m + 6, 0, 10);
            else if (!strncmp(m, "lines:", 6)) opt_reply = R_LINES, opt_replyn = strtoull(m + 6, 0, 10);
            else if (!strcmp(m, "resp")) opt_reply = R_RESP;
            else die("bad --reply");
        } else
            die("unknown option %s", a);
    }
    cmd = argv + i;
    ncmd = argc - i;
    if (!opt_port) die("-p PORT is required");
    if (ncmd < 1) die("no command");
    if (opt_pipe < 1 || opt_pipe > MAXP) die("-P 1..%d", MAXP);
    if (opt_threads > opt_clients) opt_threads = opt_clients;
    if (opt_n && opt_rate > 0) die("-n and --rate exclude each other");
    for (int k = 0; k < 1000; k++) {
        lut3[k][0] = (char)('0' + k / 100);
        lut3[k][1] = (char)('0' + k / 10 % 10);
        lut3[k][2] = (char)('0' + k % 10);
    }
    build_template();
    Worker *ws = calloc((size_t)opt_threads, sizeof *ws);
    pthread_barrier_init(&start_bar, NULL, (unsigned)opt_threads + 1);
    pthread_barrier_init(&end_bar, NULL, (unsigned)opt_threads + 1);
    for (int k = 0; k < opt_threads; k++) {
        Worker *w = &ws[k];
        w->id = k;
        w->nconn = opt_clients / opt_threads + (k < opt_clients % opt_threads);
        w->conns = calloc((size_t)w->nconn, sizeof(Conn));
        w->rng = 0x9E3779B97F4A7C15ull * (uint64_t)(k + 1) ^ (uint64_t)getpid() << 20 ^ now_ns();
        w->seq = opt_seq0 + (uint64_t)k;
        w->seq_step = (uint64_t)opt_threads;
        w->budget = opt_n / (uint64_t)opt_threads + ((uint64_t)k < opt_n % (uint64_t)opt_threads);
        w->hist = calloc(NBUCKET, sizeof(uint64_t));
        w->rbuf = malloc(RBUF);
        pthread_create(&w->tid, NULL, worker, w);
    }
    pthread_barrier_wait(&start_bar);
    g_cpu0 = opt_pid ? proc_cpu(opt_pid) : 0;
    double swait = opt_pid ? proc_wait(opt_pid) : 0, cwait = proc_wait(getpid());
    struct rusage ru0, ru1;
    getrusage(RUSAGE_SELF, &ru0);
    g_start = now_ns();
    g_deadline = opt_n ? g_start + 3600ull * 1000000000ull : g_start + (uint64_t)(opt_secs * 1e9);
    pthread_barrier_wait(&start_bar);
    uint64_t ops = 0, errors = 0, nulls = 0, bytes = 0, t_end = g_start;
    uint64_t *hist = calloc(NBUCKET, sizeof *hist), batches = 0;
    pthread_barrier_wait(&end_bar);
    cwait = proc_wait(getpid()) - cwait;
    if (opt_pid) swait = proc_wait(opt_pid) - swait;
    pthread_barrier_wait(&end_bar);
    for (int k = 0; k < opt_threads; k++) {
        pthread_join(ws[k].tid, NULL);
        ops += ws[k].ops;
        errors += ws[k].errors;
        nulls += ws[k].nulls;
        bytes += ws[k].bytes;
        if (ws[k].t_end > t_end) t_end = ws[k].t_end;
        for (unsigned b = 0; b < NBUCKET; b++) hist[b] += ws[k].hist[b], batches += ws[k].hist[b];
    }
    double cpu = opt_pid ? proc_cpu(opt_pid) - g_cpu0 : 0;
    getrusage(RUSAGE_SELF, &ru1);
    double ccpu = (double)(ru1.ru_utime.tv_sec - ru0.ru_utime.tv_sec) +
                  1e-6 * (double)(ru1.ru_utime.tv_usec - ru0.ru_utime.tv_usec) +
                  (double)(ru1.ru_stime.tv_sec - ru0.ru_stime.tv_sec) +
                  1e-6 * (double)(ru1.ru_stime.tv_usec - ru0.ru_stime.tv_usec);
    double secs = (double)(t_end - g_start) / 1e9;
    double q[3] = {0.5, 0.99, 0.999}, out[3] = {0};
    for (int k = 0; k < 3; k++) {
        uint64_t acc = 0, need = (uint64_t)(q[k] * (double)batches) + 1;
        for (unsigned b = 0; b < NBUCKET; b++) {
            acc += hist[b];
            if (acc >= need) {
                out[k] = (double)bucket_value(b) / 1e3;
                break;
            }
        }
    }
    printf("{\"ops\": %llu, \"seconds\": %.4f, \"ops_per_s\": %.0f, \"server_cpu_s\": %.3f, "
           "\"client_cpu_s\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"errors\": %llu, \"nulls\": %llu, \"bytes\": %llu, "
           "\"server_wait_s\": %.4f, \"client_wait_s\": %.4f}\n",
           (unsigned long long)ops, secs, (double)ops / secs, cpu, ccpu, out[0], out[1], out[2],
           (unsigned long long)errors, (unsigned long long)nulls, (unsigned long long)bytes, swait,
           cwait);
    return 0;
}
