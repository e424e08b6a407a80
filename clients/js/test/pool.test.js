import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { inspect } from "node:util";
import { Code, TokenpoolError, connect } from "../src/index.js";
import { COOKIE, FakeArbiter, HELLO, folder } from "../test-support/fake-arbiter.js";
import { program } from "../test-support/program.js";

// A pool that only connects again does not keep this process alive, as it should.
const alive = setInterval(() => {}, 1e6);
after(() => clearInterval(alive));

async function connected(t, options) {
  const arbiter = await FakeArbiter.start(t);
  const pool = await connect({ name: "t", env: arbiter.env(), ...options });
  t.after(() => pool.close());
  return { arbiter, pool };
}

/** A lease that the arbiter grants. */
async function granted(arbiter, pool, options, result) {
  const promise = pool.acquire(options);
  const request = await arbiter.next("acquire");
  request.reply({ lease: 9, slots: 1, ...result });
  return { lease: await promise, request };
}

const rejects = (promise, code) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof TokenpoolError);
    assert.equal(error.code, code);
    return true;
  });

for (const [reason, env] of [
  ["no-address", {}],
  ["no-address", { TOKENPOOL_ADDR: ";", TOKENPOOL_COOKIE: COOKIE }],
  ["bad-address", { TOKENPOOL_ADDR: "unix:relative", TOKENPOOL_COOKIE: COOKIE }],
  ["bad-address", { TOKENPOOL_ADDR: `unix:/${"x".repeat(200)}`, TOKENPOOL_COOKIE: COOKIE }],
  ["bad-address", { TOKENPOOL_ADDR: "tcp:example.org:1", TOKENPOOL_COOKIE: COOKIE }],
  ["bad-address", { TOKENPOOL_ADDR: "tcp:[127.0.0.1]:1", TOKENPOOL_COOKIE: COOKIE }],
  ["bad-address", { TOKENPOOL_ADDR: "tcp:127.0.0.1:65536", TOKENPOOL_COOKIE: COOKIE }],
  ["no-cookie", { TOKENPOOL_ADDR: "unix:/x" }],
  ["bad-cookie", { TOKENPOOL_ADDR: "unix:/x", TOKENPOOL_COOKIE: COOKIE + "0" }],
  ["bad-cookie", { TOKENPOOL_ADDR: "unix:/x", TOKENPOOL_COOKIE: COOKIE.replace("a", "g") }],
]) {
  test(`${reason}: ${inspect(env).slice(0, 60)}`, async () => {
    const pool = await connect({ env });
    assert.deepEqual(
      [pool.mode, pool.reason, pool.jobserverReason],
      ["single", reason, "no-makeflags"],
    );
    assert.equal(pool.slots, 1);
    await rejects(pool.status(), Code.client);
  });
}

test("unreachable, refused, incompatible, no-answer", async (t) => {
  const path = join(folder(t), "none");
  assert.equal(
    (await connect({ env: { TOKENPOOL_ADDR: `unix:${path}`, TOKENPOOL_COOKIE: COOKIE } })).reason,
    "unreachable",
  );
  const arbiter = await FakeArbiter.start(t);
  const reason = async (greet) => {
    arbiter.greet = greet;
    return (await connect({ env: arbiter.env() })).reason;
  };
  assert.equal(await reason(() => ({ code: Code.notAuthorized, message: "no" })), "refused");
  assert.equal(
    await reason(() => ({ code: Code.unsupportedProtocol, message: "no" })),
    "incompatible",
  );
  assert.equal(await reason(() => void arbiter.drop()), "no-answer");
});

test("hello tells who this is", async (t) => {
  const arbiter = await FakeArbiter.start(t);
  const env = arbiter.env({ TOKENPOOL_LEASE: "42" });
  const pool = await connect({ name: "é".repeat(40), env });
  t.after(() => pool.close());
  assert.deepEqual(
    [pool.mode, pool.reason, pool.slots, pool.connected],
    ["protocol", "ok", 4, true],
  );
  const { start, ...hello } = await arbiter.hellos.next();
  assert.deepEqual(hello, {
    protocol: 1,
    cookie: COOKIE,
    name: "é".repeat(32),
    pid: process.pid,
    lease: 42,
  });
  const stat = readFileSync("/proc/self/stat", "latin1");
  assert.equal(start, Number(stat.slice(stat.lastIndexOf(")")).split(" ")[20]));
});

test("the first address that answers serves", async (t) => {
  const arbiter = await FakeArbiter.start(t);
  const tcp = await FakeArbiter.start(t, { host: "127.0.0.1", port: 0 });
  const stranger = await FakeArbiter.start(t);
  stranger.greet = () => ({ code: Code.notAuthorized, message: "no" });
  const to = async (...addresses) => {
    const pool = await connect({
      env: { TOKENPOOL_ADDR: addresses.join(";"), TOKENPOOL_COOKIE: COOKIE },
    });
    assert.equal(pool.mode, "protocol");
    await pool.close();
  };
  await to("unix:/nowhere/at/all", "new:kind", tcp.address, arbiter.address);
  await tcp.hellos.next();
  await to(stranger.address, tcp.address.replace("127.0.0.1", "localhost"));
  await tcp.hellos.next();
});

test("acquire says what is asked, and gives what is granted", async (t) => {
  const { arbiter, pool } = await connected(t);
  const job = { min: 1, max: 4, type: "link", target: "app", memory: 100, priority: -2 };
  const { lease, request } = await granted(
    arbiter,
    pool,
    { ...job, timeoutMs: 5000, pid: process.pid },
    { slots: 3, watched: true },
  );
  const { start, ...params } = request.params;
  assert.deepEqual(params, { ...job, pid: process.pid, timeout_ms: 5000 });
  assert.ok(start > 0);
  assert.deepEqual([lease.id, lease.slots, lease.watched], [9, 3, true]);
  assert.deepEqual(pool.leases, [lease]);
  assert.equal(await lease.release(1), 2);
  assert.equal(await lease.release(), 0);
  assert.deepEqual((await arbiter.next("release")).params, { lease: 9, slots: 1 });
  assert.deepEqual((await arbiter.next("release")).params, { lease: 9 });
  assert.deepEqual(pool.leases, []);
  assert.equal(await lease.release(), 0);
  await rejects(lease.resize(1), Code.noSuchLease);
});

test("more than is held cannot be given back", async (t) => {
  const { arbiter, pool } = await connected(t);
  const { lease } = await granted(arbiter, pool, { min: 2 }, { slots: 2 });
  for (const slots of [3, 0, -1, 1.5, NaN]) await rejects(lease.release(slots), Code.client);
  assert.equal(lease.slots, 2);
});

test("a partial release waits for a resize that is under way", async (t) => {
  const { arbiter, pool } = await connected(t);
  const { lease } = await granted(arbiter, pool, {}, { slots: 2 });
  const [resized, released] = [lease.resize(1, 4), lease.release(1)];
  (await arbiter.next("resize")).reply({ slots: 4 });
  assert.deepEqual([await resized, await released], [4, 3]);
  assert.deepEqual((await arbiter.next("release")).params, { lease: 9, slots: 1 });
});

test("an error of the arbiter rejects; tryAcquire gives null", async (t) => {
  const { arbiter, pool } = await connected(t);
  const refused = pool.acquire({ min: 400 });
  (await arbiter.next("acquire")).refuse(Code.impossible);
  await rejects(refused, Code.impossible);
  const tried = pool.tryAcquire({ type: "link" });
  const { params, refuse } = await arbiter.next("acquire");
  assert.deepEqual(params, { type: "link", timeout_ms: 0 });
  refuse(Code.unavailable);
  assert.equal(await tried, null);
  const wrong = pool.tryAcquire();
  (await arbiter.next("acquire")).refuse(Code.tooMany);
  await rejects(wrong, Code.tooMany);
});

test("with() releases, also after an exception", async (t) => {
  const { arbiter, pool } = await connected(t);
  for (const fails of [false, true]) {
    const done = pool.with({}, (lease) => {
      if (fails) throw new RangeError("mine");
      return lease.id;
    });
    (await arbiter.next("acquire")).reply({ lease: 9, slots: 1 });
    if (fails) await assert.rejects(done, RangeError);
    else assert.equal(await done, 9);
    assert.deepEqual((await arbiter.next("release")).params, { lease: 9 });
  }
});

test("a lease can be disposed of", { skip: !Symbol.asyncDispose }, async (t) => {
  const { arbiter, pool } = await connected(t);
  const { lease } = await granted(arbiter, pool);
  await lease[Symbol.asyncDispose]();
  assert.equal((await arbiter.next("release")).params.lease, 9);
});

test("a signal withdraws the request", async (t) => {
  const { arbiter, pool } = await connected(t);
  const controller = new AbortController();
  const waiting = pool.acquire({ signal: controller.signal });
  const { id, reply } = await arbiter.next("acquire");
  controller.abort("enough");
  await assert.rejects(waiting, { code: Code.cancelled, cause: "enough" });
  assert.deepEqual((await arbiter.next("cancel")).params, { id });
  reply({ lease: 9, slots: 1 }); // the grant was on its way
  assert.deepEqual((await arbiter.next("release")).params, { lease: 9 });
  await rejects(pool.acquire({ signal: controller.signal }), Code.cancelled);
});

test("cancel leaves it to the arbiter", async (t) => {
  const { arbiter, pool } = await connected(t);
  const waiting = [pool.acquire(), pool.acquire()];
  const [granted, refused] = [await arbiter.next("acquire"), await arbiter.next("acquire")];
  const cancelled = waiting.map((lease) => pool.cancel(lease));
  granted.reply({ lease: 9, slots: 1 });
  (await arbiter.next("cancel")).reply({ cancelled: false });
  (await arbiter.next("cancel")).reply({ cancelled: true });
  refused.refuse(Code.cancelled);
  assert.deepEqual(await Promise.all(cancelled), [false, true]);
  assert.equal((await waiting[0]).id, 9);
  await rejects(waiting[1], Code.cancelled);
});

test("a signal after the grant changes nothing", async (t) => {
  const { arbiter, pool } = await connected(t);
  const controller = new AbortController();
  const { lease } = await granted(arbiter, pool, { signal: controller.signal });
  controller.abort();
  const status = pool.status();
  await arbiter.next("status"); // and no cancel before it
  assert.equal(lease.slots, 1);
  arbiter.drop();
  await rejects(status, Code.client);
});

test("handTo names the process and tells whether it is watched", async (t) => {
  const { arbiter, pool } = await connected(t);
  const { lease } = await granted(arbiter, pool);
  const handed = lease.handTo(process.pid);
  const { params, reply } = await arbiter.next("report");
  assert.deepEqual([params.lease, params.pid, params.start > 0], [9, process.pid, true]);
  reply({ watched: true });
  assert.deepEqual([await handed, lease.watched], [true, true]);
  const reported = lease.report({ peakMemory: 5, cpuSeconds: 0.5, exit: 3 });
  const second = await arbiter.next("report");
  assert.deepEqual(second.params, { lease: 9, peak_memory: 5, cpu_seconds: 0.5, exit: 3 });
  second.reply({});
  assert.deepEqual([await reported, lease.watched], [{}, true]);
});

test("status, set and subscribe", async (t) => {
  const { arbiter, pool } = await connected(t);
  const [status, set, subscribed] = [
    pool.status(),
    pool.set({ slots: 8, limits: { link: null } }),
    pool.subscribe(),
  ];
  (await arbiter.next("status")).reply({ slots: 4, free: 2 });
  const { params, reply } = await arbiter.next("set");
  assert.deepEqual(params, { slots: 8, limits: { link: null } });
  reply({ slots: 8, limits: [], paused: false });
  (await arbiter.next("subscribe")).reply({});
  assert.deepEqual(await status, { slots: 4, free: 2 });
  assert.equal((await set).paused, false);
  assert.equal(await subscribed, undefined);
  assert.equal(pool.slots, 8);
});

test("notices become events, those right after the grant too", async (t) => {
  const { arbiter, pool } = await connected(t);
  const lease = new Promise((resolve) => {
    pool.acquire().then((granted) => {
      pool.once("recall", (params, about) => resolve([params, about === granted]));
    });
  });
  const { reply } = await arbiter.next("acquire");
  reply({ lease: 9, slots: 1 });
  arbiter.send({ method: "recall", params: { lease: 9, slots: 0 } });
  assert.deepEqual(await lease, [{ lease: 9, slots: 0 }, true]);
  const [revoked, event] = [once(pool, "revoke"), once(pool, "event")];
  arbiter.send({ method: "error", params: {} }); // would throw if it were an event
  arbiter.send({ method: "revoke", params: { lease: 77, reason: "memory", deadline_ms: 1 } });
  arbiter.send({ method: "event", params: { kind: "set", free: 1 } });
  assert.deepEqual(await revoked, [{ lease: 77, reason: "memory", deadline_ms: 1 }, undefined]);
  assert.deepEqual((await event)[0], { kind: "set", free: 1 });
});

test("a lost connection is made again, leases and requests with it", async (t) => {
  const { arbiter, pool } = await connected(t);
  await arbiter.hellos.next();
  const { lease } = await granted(arbiter, pool, { type: "link" });
  const { lease: other } = await granted(arbiter, pool, {}, { lease: 10 });
  const waiting = pool.acquire({ target: "b" });
  await arbiter.next("acquire");
  const events = [once(pool, "disconnected"), once(pool, "connected"), once(pool, "lost")];
  arbiter.greet = () => ({ ...HELLO, slots: 6, resumed: [30, 0] });
  arbiter.drop();
  await events[0];
  await events[1];
  assert.deepEqual((await arbiter.hellos.next()).resume, [
    { lease: 9, slots: 1, type: "link" },
    { lease: 10, slots: 1 },
  ]);
  assert.equal((await events[2])[0], other);
  assert.deepEqual([lease.id, other.slots, pool.slots], [30, 0, 6]);
  const { params, reply } = await arbiter.next("acquire");
  assert.deepEqual(params, { target: "b" });
  reply({ lease: 31, slots: 1 });
  assert.equal((await waiting).id, 31);
});

test("it goes on trying while nobody listens, and after a refusal", async (t) => {
  const { arbiter, pool } = await connected(t);
  const disconnected = once(pool, "disconnected");
  await arbiter.stop();
  await disconnected;
  assert.equal(pool.mode, "protocol");
  assert.equal(await pool.tryAcquire(), null);
  await arbiter.hellos.next();
  const refusals = [{ code: Code.notAuthorized, message: "not yet" }];
  arbiter.greet = () => refusals.pop() ?? HELLO;
  const again = once(pool, "connected");
  await arbiter.listen();
  await again;
  assert.deepEqual(refusals, []);
});

test("bytes that are no message end the connection", async (t) => {
  const { arbiter, pool } = await connected(t);
  const again = once(pool, "connected");
  arbiter.send({ id: 1, result: {}, error: {} });
  await again;
  assert.ok(pool.connected);
});

test("close ends the session and what waits", async (t) => {
  const { arbiter, pool } = await connected(t);
  const { lease } = await granted(arbiter, pool);
  const waiting = pool.acquire();
  await arbiter.next("acquire");
  const ended = rejects(waiting, Code.client);
  await pool.close();
  await ended;
  await arbiter.ends.next();
  assert.equal(await lease.release(), 0);
  await rejects(pool.acquire(), Code.client);
  await pool.close();
});

test("the cookie is in nothing that is printed", async (t) => {
  const { arbiter, pool } = await connected(t);
  const { lease } = await granted(arbiter, pool);
  const waiting = pool.acquire();
  (await arbiter.next("acquire")).refuse(-32602, `you sent ${COOKIE}`);
  const error = await waiting.catch((error) => error);
  for (const thing of [pool, lease, error]) {
    for (const options of [
      {},
      { depth: Infinity, showHidden: true },
      { depth: Infinity, customInspect: false },
    ]) {
      assert.ok(!inspect(thing, options).includes(COOKIE));
    }
    assert.ok(!String(thing.stack ?? thing).includes(COOKIE));
  }
});

test("an idle pool does not keep the process alive", async (t) => {
  const arbiter = await FakeArbiter.start(t);
  assert.deepEqual(await program(arbiter.env(), "console.log(pool.mode)"), {
    out: "protocol\n",
    code: 0,
  });
});

test("an idle pool without a connection does not keep the process alive", async (t) => {
  const arbiter = await FakeArbiter.start(t);
  const text = `const alive = setInterval(() => {}, 1e6);
    pool.once("disconnected", () => { console.log("gone"); clearInterval(alive); });`;
  const result = program(arbiter.env(), text);
  await arbiter.hellos.next();
  await arbiter.stop();
  assert.deepEqual(await result, { out: "gone\n", code: 0 });
});

test("a request that waits does", async (t) => {
  const arbiter = await FakeArbiter.start(t);
  const text = "console.log('before'); console.log((await pool.acquire()).id)";
  const result = program(arbiter.env(), text, {
    async meanwhile(child) {
      await once(child.stdout, "data");
      (await arbiter.next("acquire")).reply({ lease: 5, slots: 1 });
    },
  });
  assert.deepEqual(await result, { out: "before\n5\n", code: 0 });
});
