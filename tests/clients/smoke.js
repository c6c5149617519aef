// ioredis against a running server: smoke.js PORT PORT_WITH_PASSWORD (password: secret).
"use strict";
const assert = require("node:assert/strict");
const Redis = require("ioredis");

const [port, locked] = process.argv.slice(2, 4).map(Number);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const cases = {
  async strings(r) {
    assert.equal(await r.set("k", "v"), "OK");
    assert.equal(await r.get("k"), "v");
    assert.equal(await r.get("nobody"), null);
    assert.equal(await r.set("k", "w", "NX"), null);
    await r.mset({ a: 1, b: 2 });
    assert.deepEqual(await r.mget("a", "nobody", "b"), ["1", null, "2"]);
    assert.equal(await r.incrby("n", 5), 5);
    assert.equal(await r.incrbyfloat("f", 0.1), "0.1");
    assert.equal(await r.append("k", "!"), 2);
    assert.equal(await r.getrange("k", -1, -1), "!");
    assert.equal(await r.setbit("bits", 7, 1), 0);
    assert.equal(await r.pfadd("hll", "a", "b"), 1);
  },

  async keys(r) {
    await r.mset("a", 1, "b", 2);
    assert.equal(await r.exists("a", "b", "c"), 2);
    assert.equal(await r.rename("a", "c"), "OK");
    assert.equal(await r.type("c"), "string");
    assert.deepEqual((await r.keys("*")).sort(), ["b", "c"]);
    assert.equal(await r.del("b", "c", "d"), 2);
    assert.equal(await r.dbsize(), 0);
  },

  async expiry(r) {
    await r.set("short", 1, "PX", 50);
    await r.set("long", 1, "EX", 100);
    assert.ok((await r.ttl("long")) > 98);
    await sleep(80);
    assert.equal(await r.get("short"), null);
    assert.equal(await r.persist("long"), 1);
    assert.equal(await r.ttl("long"), -1);
  },

  async pipelines(r) {
    const pipeline = r.pipeline();
    for (let i = 0; i < 2000; i++) pipeline.set(`k${i}`, i).get(`k${i}`);
    const replies = await pipeline.exec();
    assert.equal(replies.length, 4000);
    replies.forEach(([error, reply], i) => {
      assert.equal(error, null);
      assert.equal(reply, i % 2 ? String((i - 1) / 2) : "OK");
    });
    const [, [error], [, after]] = await r.pipeline().set("t", "text").incr("t").get("t").exec();
    assert.match(error.message, /not an integer/);
    assert.equal(after, "text");
  },

  async autoPipelines() {
    const r = new Redis(port, { enableAutoPipelining: true });
    const replies = await Promise.all(Array.from({ length: 1000 }, () => r.incr("n")));
    assert.deepEqual(replies.sort((a, b) => a - b), Array.from({ length: 1000 }, (_, i) => i + 1));
    r.disconnect();
  },

  async scanning(r) {
    const pipeline = r.pipeline();
    for (let i = 0; i < 500; i++) pipeline.set(`scan:${i}`, i);
    await pipeline.set("other", 1).exec();
    const seen = new Set();
    for await (const some of r.scanStream({ match: "scan:*", count: 7 })) some.forEach((k) => seen.add(k));
    assert.equal(seen.size, 500);
  },

  async errors(r) {
    await r.set("t", "text");
    await assert.rejects(r.incr("t"), /ERR value is not an integer or out of range/);
    await assert.rejects(r.call("GET"), /ERR wrong number of arguments for 'get' command/);
    await assert.rejects(r.call("NOSUCH"), /ERR unknown command 'NOSUCH'/);
    assert.equal(await r.get("t"), "text");
  },

  async bigValues(r) {
    for (const size of [0, 16383, 16384, 1000000, 20000000]) {
      const value = Buffer.alloc(size, "0123456789\r\n");
      await r.set("big", value);
      assert.ok(value.equals(await r.getBuffer("big")), `${size} bytes`);
    }
  },

  async passwords() {
    const wrong = new Redis(locked, { password: "wrong", retryStrategy: () => null, maxRetriesPerRequest: 0 });
    wrong.on("error", () => {});
    await assert.rejects(wrong.get("k"));
    wrong.disconnect();
    const right = new Redis(locked, { password: "secret" });
    assert.equal(await right.ping(), "PONG");
    right.disconnect();
  },

  async reconnecting(r) {
    const other = new Redis(port, { db: 3 });
    await other.set("k", "three");
    const id = await other.client("ID");
    assert.equal(await r.client("KILL", "ID", id), 1);
    assert.equal(await other.get("k"), "three"); // connects again, selects database 3 again
    other.disconnect();
  },
};

(async () => {
  let passed = 0;
  let failed = 0;
  for (const [name, test] of Object.entries(cases)) {
    const r = new Redis(port);
    r.on("error", () => {}); // each command tells its own
    try {
      await r.flushall();
      await test(r);
      passed += 1;
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${name}: ${error.message}`);
    }
    r.disconnect();
  }
  console.log(`ioredis ${require("ioredis/package.json").version}: ${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
})();
