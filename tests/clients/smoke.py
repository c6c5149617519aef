"""redis-py against a running server: smoke.py PORT PORT_WITH_PASSWORD (password: secret)."""
import asyncio
import sys
import time

import redis
import redis.asyncio

PORT, LOCKED = int(sys.argv[1]), int(sys.argv[2])
passed, failed = [], []


def case(test):
    """Runs a test in both protocols."""
    for protocol in (2, 3):
        name = f"{test.__name__} (RESP{protocol})"
        client = redis.Redis(port=PORT, protocol=protocol, decode_responses=True, socket_timeout=20)
        try:
            client.flushall()
            test(client)
            passed.append(name)
        except Exception as error:  # each failure is told, and the others still run
            failed.append(name)
            print(f"FAILED: {name}: {type(error).__name__}: {error}")
        finally:
            client.close()


@case
def strings(r):
    assert r.set("k", "v") and r.get("k") == "v" and r.get("nobody") is None
    assert r.set("k", "w", nx=True) is None and r.set("k", "w", xx=True, get=True) == "v"
    assert r.mset({"a": 1, "b": 2}) and r.mget("a", "nobody", "b") == ["1", None, "2"]
    assert r.incrby("n", 5) == 5 and r.decr("n") == 4 and r.incrbyfloat("f", 0.1) == 0.1
    assert r.append("k", "!") == 2 and r.strlen("k") == 2 and r.getrange("k", 0, 0) == "w"
    assert r.getdel("k") == "w!" and r.setrange("s", 3, "x") == 4
    assert r.lcs("a", "b") == "" and r.setbit("bits", 7, 1) == 0 and r.bitcount("bits") == 1
    assert r.pfadd("hll", "a", "b") == 1 and r.pfcount("hll") == 2


@case
def keys(r):
    r.mset({"a": 1, "b": 2})
    assert r.exists("a", "b", "c") == 2 and r.type("a") == "string" and r.dbsize() == 2
    assert r.rename("a", "c") and r.copy("c", "d") and not r.renamenx("c", "d")
    assert sorted(r.keys("*")) == ["b", "c", "d"] and r.randomkey() in "bcd"
    assert r.touch("b", "c") == 2 and r.unlink("b") == 1 and r.delete("c", "d") == 2
    assert r.object("encoding", "nobody") is None


@case
def expiry(r):
    r.set("short", 1, px=50)
    r.set("long", 1, ex=100)
    assert 0 < r.pttl("short") <= 50 and 99 <= r.ttl("long") <= 100
    time.sleep(0.08)
    assert r.get("short") is None and r.ttl("short") == -2
    assert r.persist("long") and r.ttl("long") == -1
    assert r.expire("long", 10, nx=True) and not r.expire("long", 5, gt=True)
    assert r.getex("long", persist=True) == "1" and r.expiretime("long") == -1


@case
def pipelines(r):
    pipe = r.pipeline(transaction=False)
    for i in range(2000):
        pipe.set(f"k{i}", i).get(f"k{i}")
    replies = pipe.execute()
    assert replies[1::2] == [str(i) for i in range(2000)] and all(replies[::2])
    pipe = r.pipeline(transaction=False)
    pipe.set("t", "text").incr("t").get("t")
    replies = pipe.execute(raise_on_error=False)
    assert isinstance(replies[1], redis.ResponseError) and replies[2] == "text"


@case
def scanning(r):
    for i in range(500):
        r.set(f"scan:{i}", i)
    r.set("other", 1)
    assert {k for k in r.scan_iter(match="scan:*", count=7)} == {f"scan:{i}" for i in range(500)}
    assert list(r.scan_iter(_type="list")) == []


@case
def errors(r):
    r.set("t", "text")
    for call, text in (
        (lambda: r.incr("t"), "value is not an integer or out of range"),
        (lambda: r.execute_command("GET"), "wrong number of arguments for 'get' command"),
        (lambda: r.execute_command("SET", "k", "v", "EX"), "syntax error"),
        (lambda: r.execute_command("NOSUCH"), "unknown command 'NOSUCH'"),
    ):
        try:
            call()
        except redis.ResponseError as error:
            assert text in str(error), error
        else:
            raise AssertionError(f"no error: {text}")


@case
def big_values(r):
    raw = redis.Redis(port=PORT, protocol=r.connection_pool.connection_kwargs["protocol"])
    for size in (0, 16_383, 16_384, 1_000_000, 40_000_000):
        value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert raw.set("big", value) and raw.get("big") == value and raw.strlen("big") == size
    raw.close()


@case
def server(r):
    assert r.ping() and r.echo("hi") == "hi" and r.info()["redis_version"]
    assert r.config_get("maxmemory")["maxmemory"] == "0" and r.config_set("maxmemory", 0)
    assert r.client_setname("smoke") and r.client_getname() == "smoke"
    assert any(c["name"] == "smoke" for c in r.client_list())
    assert r.time()[0] > 1_600_000_000 and r.memory_usage("nobody") is None
    assert r.command_count() > 50 and "get" in r.command()
    assert r.slowlog_len() >= 0 and isinstance(r.slowlog_get(), list)


@case
def reconnecting(r):
    other = redis.Redis(port=PORT)
    assert r.set("k", "before")
    assert other.client_kill_filter(_id=r.client_id()) == 1
    assert r.get("k") == "before"  # redis-py connects again by itself
    other.close()


def passwords():
    for protocol in (2, 3):
        try:
            redis.Redis(port=LOCKED, protocol=protocol).ping()
        except (redis.AuthenticationError, redis.ResponseError):
            pass
        else:
            raise AssertionError("no password, and it answers")
        try:
            redis.Redis(port=LOCKED, protocol=protocol, password="wrong").ping()
        except (redis.AuthenticationError, redis.ResponseError):
            pass
        else:
            raise AssertionError("the wrong password, and it answers")
        assert redis.Redis(port=LOCKED, protocol=protocol, password="secret").ping()
        assert redis.Redis(port=LOCKED, protocol=protocol, username="default", password="secret").ping()


async def many_at_once():
    pool = redis.asyncio.BlockingConnectionPool(port=PORT, max_connections=30, timeout=20)
    r = redis.asyncio.Redis(connection_pool=pool)
    await r.delete("n")
    got = await asyncio.gather(*(r.incr("n") for _ in range(1000)))
    assert sorted(got) == list(range(1, 1001))
    await r.aclose()


for test in (passwords, lambda: asyncio.run(many_at_once())):
    name = getattr(test, "__name__", "?").replace("<lambda>", "many_at_once")
    try:
        test()
        passed.append(name)
    except Exception as error:
        failed.append(name)
        print(f"FAILED: {name}: {type(error).__name__}: {error}")

print(f"redis-py {redis.__version__}: {len(passed)} passed, {len(failed)} failed")
sys.exit(bool(failed))
