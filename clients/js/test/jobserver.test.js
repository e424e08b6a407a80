import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readJobserver } from "../src/environment.js";
import { Code, connect } from "../src/index.js";
import { folder } from "../test-support/fake-arbiter.js";
import { program, words } from "../test-support/program.js";

/** A FIFO with these tokens. `left()` tells what is in it, `put()` adds to it. */
function fifo(t, tokens) {
  const path = join(folder(t), "fifo");
  execFileSync("mkfifo", [path]);
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  t.after(() => fs.closeSync(fd));
  const put = (bytes) => fs.writeSync(fd, bytes);
  const left = () => {
    const buffer = Buffer.alloc(64);
    try {
      const bytes = buffer.toString("latin1", 0, fs.readSync(fd, buffer, 0, 64, null));
      put(bytes);
      return bytes;
    } catch (error) {
      assert.equal(error.code, "EAGAIN");
      return "";
    }
  };
  put(tokens);
  return { path, fd, put, left, env: { MAKEFLAGS: `k -j4 --jobserver-auth=fifo:${path}` } };
}

async function client(t, tokens) {
  const pipe = fifo(t, tokens);
  const pool = await connect({ env: pipe.env });
  t.after(() => pool.close());
  return { ...pipe, pool };
}

const sorted = (text) => [...text].sort().join("");

for (const [makeflags, expected] of [
  [undefined, { reason: "no-makeflags" }],
  ["", { reason: "no-jobserver" }],
  ["k -j8", { reason: "no-jobserver" }],
  ["-j8 --jobserver-auth=fifo:/a/b", { slots: 8, path: "/a/b" }],
  ["-j --jobserver-auth=fifo:/a --jobserver-fds=3,4", { slots: 1, path: "/a" }],
  ["-j2 --jobserver-fds=5,6", { slots: 2, readFd: 5, writeFd: 6 }],
  ["--jobserver-auth=3,4 --jobserver-auth=fifo:/b -j3", { slots: 3, path: "/b" }],
  ["-j4 --jobserver-auth=-2,-2", { reason: "no-jobserver" }],
  ["-j4 --jobserver-auth=fifo:/a -- X=--jobserver-auth=3,4", { slots: 4, path: "/a" }],
  ["-j4 -- --jobserver-auth=3,4", { reason: "no-jobserver" }],
  ["--jobserver-auth=fifo:", { reason: "bad-jobserver" }],
  ["--jobserver-auth=3,", { reason: "bad-jobserver" }],
  ["--jobserver-auth=", { reason: "bad-jobserver" }],
  ["--jobserver-auth=gmake_semaphore_1", { reason: "unsupported" }],
]) {
  test(`MAKEFLAGS ${makeflags}`, () =>
    assert.deepEqual(readJobserver({ MAKEFLAGS: makeflags }), expected));
}

test("a FIFO is used where there is no arbiter", async (t) => {
  const { pool } = await client(t, "abc");
  assert.deepEqual(
    [pool.mode, pool.reason, pool.jobserverReason, pool.slots, pool.connected],
    ["jobserver", "no-address", undefined, 4, false],
  );
  await assert.rejects(pool.status(), { code: Code.client });
});

test("what cannot be opened, and what is no pipe", async (t) => {
  const { path } = fifo(t, "");
  const reason = async (value) => {
    const pool = await connect({ env: { MAKEFLAGS: ` --jobserver-auth=${value}` } });
    assert.equal(pool.mode, "single");
    return pool.jobserverReason;
  };
  const file = join(path, "..", "file");
  fs.writeFileSync(file, "+++");
  assert.equal(await reason(`fifo:${path}x`), "cannot-open");
  assert.equal(await reason(`fifo:${file}`), "not-a-pipe");
  assert.equal(await reason("900,901"), "cannot-open");
  assert.equal(fs.readFileSync(file, "utf8"), "+++");
});

test("the first slot costs nothing, others a token each; the same ones come back", async (t) => {
  const { pool, left } = await client(t, "abcde");
  const first = await pool.acquire({ max: 3 });
  assert.deepEqual([first.id, first.slots, left()], [0, 3, "cde"]);
  const second = await pool.acquire();
  assert.deepEqual([second.slots, left()], [1, "de"]);
  assert.equal(await first.release(1), 2);
  assert.equal(left().length, 3);
  await second.release();
  await first.release();
  assert.equal(sorted(left()), "abcde");
  assert.deepEqual(pool.leases, []);
});

test("the implicit slot is given back last", async (t) => {
  const { pool, left } = await client(t, "ab");
  const lease = await pool.acquire({ max: 3 });
  await lease.release(2);
  assert.equal(sorted(left()), "ab");
  await lease.release();
  assert.equal((await pool.acquire()).slots, 1);
  assert.equal(sorted(left()), "ab");
});

test("who waits takes one byte, whatever there is", async (t) => {
  const { pool, put, left } = await client(t, "");
  await pool.acquire();
  const waiting = pool.acquire();
  put("xyz");
  const lease = await waiting;
  assert.equal(left(), "yz");
  await lease.release();
  assert.equal(sorted(left()), "xyz");
});

test("requests are served in their order, each with its own token", async (t) => {
  const { pool, put, left } = await client(t, "");
  await pool.acquire();
  const order = [];
  const waiting = [1, 2, 3].map((n) => pool.acquire().then(() => order.push(n)));
  put("abc");
  await Promise.all(waiting);
  assert.deepEqual([order, left()], [[1, 2, 3], ""]);
});

test("a slot that comes free here serves who waits here", async (t) => {
  const { pool } = await client(t, "");
  const first = await pool.acquire();
  const waiting = pool.acquire();
  await first.release();
  assert.equal((await waiting).slots, 1);
});

test("nothing is held while more is waited for", async (t) => {
  const { pool, put, left } = await client(t, "a");
  const waiting = pool.acquire({ min: 3, max: 4 });
  assert.equal(left(), "a");
  const other = await pool.acquire(); // is not held up
  await other.release();
  put("b");
  assert.equal((await waiting).slots, 3);
  assert.equal(left(), "");
});

test("deadline, signal, cancel and tryAcquire end the wait and take nothing", async (t) => {
  const { pool, put, left } = await client(t, "");
  await pool.acquire();
  assert.equal(await pool.tryAcquire(), null);
  await assert.rejects(pool.acquire({ timeoutMs: 1 }), { code: Code.unavailable });
  const controller = new AbortController();
  const waiting = pool.acquire({ signal: controller.signal });
  controller.abort("enough");
  await assert.rejects(waiting, { code: Code.cancelled, cause: "enough" });
  const other = pool.acquire();
  assert.equal(await pool.cancel(other), true);
  await assert.rejects(other, { code: Code.cancelled });
  assert.equal(await pool.cancel(other), false);
  put("a");
  const lease = await pool.tryAcquire();
  assert.deepEqual([lease.slots, left()], [1, ""]);
});

test("resize takes and gives back without waiting", async (t) => {
  const { pool, left } = await client(t, "abc");
  const lease = await pool.acquire();
  assert.equal(await lease.resize(1, 3), 3);
  await assert.rejects(lease.resize(5, 6), { code: Code.unavailable });
  assert.deepEqual([lease.slots, left()], [3, "c"]);
  assert.equal(await lease.resize(1, 2), 2);
  const [wide, other] = [pool.acquire({ min: 9 }), await lease.resize(1, 9)];
  assert.equal(other, 2); // somebody waits
  assert.equal(await pool.cancel(wide), true);
  await assert.rejects(wide, { code: Code.cancelled });
  assert.equal(await lease.resize(1, 9), 4);
  await assert.rejects(lease.resize(2, 1), { code: Code.client });
  await lease.release();
  assert.equal(sorted(left()), "abc");
});

test("close gives everything back", async (t) => {
  const { pool, left } = await client(t, "abc");
  const lease = await pool.acquire({ max: 3 });
  const waiting = pool.acquire({ min: 4 });
  const ended = assert.rejects(waiting, { code: Code.client });
  await pool.close();
  await ended;
  assert.equal(sorted(left()), "abc");
  assert.deepEqual([lease.slots, await lease.release()], [0, 0]);
});

test("a program that ends gives its tokens back, whatever it holds or whoever waits", async (t) => {
  const { env, left } = fifo(t, "abc");
  assert.deepEqual(await program(env, "await pool.acquire({ max: 3 }); console.log(pool.mode)"), {
    out: "jobserver\n",
    code: 0,
  });
  assert.equal(sorted(left()), "abc");
  const text = "await pool.acquire({ max: 4 }); pool.acquire(); process.exit(3)";
  assert.deepEqual(await program(env, text), { out: "", code: 3 });
  assert.equal(sorted(left()), "abc");
});

test("a request that waits keeps the program alive until it is served", async (t) => {
  const { env, put, left } = fifo(t, "");
  const text =
    "await pool.acquire(); console.log('waits'); console.log((await pool.acquire()).slots)";
  const meanwhile = async (child) => {
    await once(child.stdout, "data");
    put("x");
  };
  assert.deepEqual(await program(env, text, { meanwhile }), { out: "waits\n1\n", code: 0 });
  assert.equal(left(), "x");
});

test("one slot where there is nothing", async (t) => {
  const pool = await connect({ env: {} });
  t.after(() => pool.close());
  await assert.rejects(pool.acquire({ min: 2 }), { code: Code.impossible });
  await assert.rejects(pool.acquire({ min: 0 }), { code: Code.client });
  const lease = await pool.acquire({ max: 8 });
  assert.deepEqual([lease.id, lease.slots], [0, 1]);
  const waiting = pool.acquire();
  assert.equal(await pool.tryAcquire(), null);
  assert.equal(await lease.resize(1, 4), 1);
  assert.deepEqual(await lease.report({ exit: 0 }), {});
  assert.equal(await lease.handTo(process.pid), false);
  await lease.release();
  assert.equal((await waiting).slots, 1);
});

const proc = { skip: !fs.existsSync("/proc/self/fdinfo") && "there is no /proc" };

test("descriptors are used through descriptions of their own", proc, async (t) => {
  const { path, put, left } = fifo(t, "ab");
  const fds = [fs.openSync(path, "r+"), fs.openSync(path, "r+")];
  t.after(() => fds.forEach((fd) => fs.closeSync(fd)));
  const text = `import fs from "node:fs";
    const lease = await pool.acquire({ max: 9 });
    const info = fs.readFileSync("/proc/self/fdinfo/3", "utf8");
    const flags = parseInt(/flags:\\s*(\\d+)/.exec(info)[1], 8);
    console.log(pool.mode, lease.slots, flags & fs.constants.O_NONBLOCK);
    console.log((await pool.acquire()).slots);`;
  const meanwhile = async (child) => {
    await once(child.stdout, "data");
    put("c");
  };
  const env = { MAKEFLAGS: " -j --jobserver-fds=3,4" };
  assert.deepEqual(await program(env, text, { fds, meanwhile }), {
    out: "jobserver 3 0\n1\n",
    code: 0,
  });
  assert.equal(sorted(left()), "abc");
});

test("node's own pipes are no jobserver", proc, async () => {
  const text = `import fs from "node:fs";
    import { openTokens } from ${JSON.stringify(new URL("../src/tokens.js", import.meta.url).href)};
    const inode = (fd) => {
      try {
        const stat = fs.fstatSync(fd);
        return stat.isFIFO() ? stat.ino : 0;
      } catch {
        return 0;
      }
    };
    const fds = fs.readdirSync("/proc/self/fd").map(Number).filter((fd) => inode(fd));
    const ends = (ino) => fds.filter((fd) => inode(fd) === ino).length;
    const pipes = fds.filter((fd) => ends(inode(fd)) === 2);
    const reasons = pipes.map((fd) => openTokens({ readFd: fd, writeFd: fd }).reason);
    console.log(pipes.length > 0, ...new Set(reasons));`;
  assert.deepEqual(await program({}, text), { out: "true cannot-open\n", code: 0 });
});

const make = spawnSync("make", ["--version"]).status === 0;

test("below a real make", { skip: !make && "there is no make" }, (t) => {
  const script = words(
    "const lease = await pool.acquire({ max: 9 }); console.log(pool.mode, lease.slots)",
  );
  const quoted = script.map((word) => `'${word.replaceAll("\n", " ")}'`).join(" ");
  const path = join(folder(t), "Makefile");
  fs.writeFileSync(path, `all:\n\t+@${quoted}\nalone:\n\t@${quoted}\n`);
  const env = { ...process.env, MAKEFLAGS: undefined, MAKELEVEL: undefined, TOKENPOOL_ADDR: "" };
  const run = (goal) => spawnSync("make", ["-j4", "-f", path, goal], { env, encoding: "utf8" });
  assert.deepEqual([run("all").stdout, run("all").stderr], ["jobserver 4\n", ""]);
  // A FIFO is open to everybody; descriptors are not handed to what is not marked with +.
  assert.match(run("alone").stdout, /^(jobserver 4|single 1)\n$/);
});
