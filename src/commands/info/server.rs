//! Sections Server and CPU.

use super::field::{Field, int, seconds, text};
use crate::config::REDIS_VERSION;
use crate::metrics::process;
use std::sync::OnceLock;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn system() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(process::system_name)
}

/// Version and profile of the build.
pub fn build_id() -> String {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{}-{profile}", env!("CARGO_PKG_VERSION"))
}

/// Section Server.
pub static FIELDS: &[Field] = &[
    text("redis_version", "Version of Redis whose behaviour clients may expect.", |_| {
        REDIS_VERSION.to_owned()
    }),
    text("server_name", "Always `eonkv`.", |_| "eonkv".to_owned()),
    text("eonkv_version", "Version of this server.", |_| env!("CARGO_PKG_VERSION").to_owned()),
    text("redis_git_sha1", "Always zeroes: builds are named by version.", |_| {
        "00000000".to_owned()
    }),
    int("redis_git_dirty", "Always 0.", |_| 0),
    text("redis_build_id", "Version and profile of the build.", |_| build_id()),
    text("redis_mode", "Always `standalone`.", |_| "standalone".to_owned()),
    text("os", "Name, release and machine of the system.", |_| system().to_owned()),
    int("arch_bits", "Bits of a pointer.", |_| i64::from(usize::BITS)),
    text("monotonic_clock", "Clock that durations are measured with.", |_| {
        "POSIX clock_gettime".to_owned()
    }),
    text("multiplexing_api", "How sockets are waited for.", |_| {
        if cfg!(target_os = "linux") { "epoll" } else { "kqueue" }.to_owned()
    }),
    text("atomicvar_api", "How threads share counters.", |_| "rust-std".to_owned()),
    text("gcc_version", "Always 0.0.0: no C compiler was needed.", |_| "0.0.0".to_owned()),
    int("process_id", "Process id.", |_| i64::from(std::process::id())).gauge("redis_process_id"),
    text("process_supervised", "Whether a service manager supervises the process.", |_| {
        let systemd = std::env::var_os("NOTIFY_SOCKET").is_some();
        if systemd { "systemd" } else { "no" }.to_owned()
    }),
    text("run_id", "Random name of this run of the server.", |s| s.shared.run_id.clone()),
    int("tcp_port", "TCP port.", |s| i64::from(s.config.port)),
    int("server_time_usec", "Time of the server in microseconds.", |s| s.now * 1000),
    int("uptime_in_seconds", "Seconds since the start.", |s| s.uptime_ms() / 1000)
        .gauge("redis_uptime_in_seconds"),
    int("uptime_in_days", "Days since the start.", |s| s.uptime_ms() / DAY_MS),
    int("hz", "Background turns a second.", |s| i64::from(s.config.hz)),
    int("configured_hz", "Background turns a second, as configured.", |s| i64::from(s.config.hz)),
    int("lru_clock", "Clock of accesses: seconds, in 24 bits.", |s| (s.now / 1000) & 0xff_ffff),
    text("executable", "Path of the binary.", |s| s.shared.process.executable.clone()),
    text("config_file", "Path of the configuration file.", |s| {
        let path = s.shared.config_file.as_ref();
        path.map_or_else(String::new, |path| path.to_string_lossy().into_owned())
    }),
    int("io_threads_active", "Whether several threads serve clients.", |s| {
        i64::from(s.shared.clients.workers() > 1)
    })
    .gauge("redis_io_threads_active"),
    super::field::family("listener<N>", "Where the server listens.", |s, tell| {
        let mut n = 0;
        let mut add = |value: &str| {
            tell(&format!("listener{n}"), value);
            n += 1;
        };
        if s.config.port > 0 {
            let bind: Vec<_> =
                s.config.bind.iter().map(|address| format!("bind={address}")).collect();
            add(&format!("name=tcp,{},port={}", bind.join(","), s.config.port));
        }
        if !s.config.unixsocket.is_empty() {
            add(&format!("name=unix,bind={}", s.config.unixsocket));
        }
    }),
];

/// Section CPU.
pub static CPU: &[Field] = &[
    seconds("used_cpu_sys", "Processor seconds in the kernel.", |s| s.cpu().system)
        .counter("redis_cpu_sys_seconds_total"),
    seconds("used_cpu_user", "Processor seconds outside the kernel.", |s| s.cpu().user)
        .counter("redis_cpu_user_seconds_total"),
    seconds("used_cpu_sys_children", "Processor seconds of ended children in the kernel.", |_| {
        process::cpu_of_children().system
    })
    .counter("redis_cpu_sys_children_seconds_total"),
    seconds("used_cpu_user_children", "Processor seconds of ended children.", |_| {
        process::cpu_of_children().user
    })
    .counter("redis_cpu_user_children_seconds_total"),
    seconds(
        "used_cpu_sys_main_thread",
        "Processor seconds of the main thread in the kernel.",
        |_| process::cpu_of_main_thread().system,
    )
    .counter("redis_cpu_sys_main_thread_seconds_total"),
    seconds("used_cpu_user_main_thread", "Processor seconds of the main thread.", |_| {
        process::cpu_of_main_thread().user
    })
    .counter("redis_cpu_user_main_thread_seconds_total"),
];
