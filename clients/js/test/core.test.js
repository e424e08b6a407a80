import assert from "node:assert/strict";
import { test } from "node:test";
import { ALONE_AFTER_MS, Core } from "../src/core.js";
import { Code } from "../src/errors.js";
import { COOKIE, HELLO } from "../test-support/fake-arbiter.js";

/** A core and what it did. `at` is the time that it is told. */
class Desk {
  told = [];
  at = 1000;
  core = new Core(
    COOKIE,
    { name: "t", pid: 7 },
    {
      up: ({ session }) => this.told.push(["up", session]),
      refused: (code) => this.told.push(["refused", code]),
      notice: (method, params, lease) => this.told.push([method, params, lease]),
      gone: (lease) => this.told.push(["gone", lease]),
    },
  );

  sent() {
    return this.core
      .take()
      .split("\n")
      .filter(Boolean)
      .map((line) => {
        const { jsonrpc, ...rest } = JSON.parse(line);
        assert.equal(jsonrpc, "2.0");
        return rest;
      });
  }

  /** Returns why the connection is broken, if it is. */
  say(message) {
    return this.core.receive(
      Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n"),
      this.at,
    );
  }

  /** Connects; returns the params of hello, and leaves what is sent after it. */
  up(result) {
    this.core.opened();
    const [{ id, method, params }] = this.sent();
    assert.equal(method, "hello");
    assert.equal(this.say({ id, result: { ...HELLO, ...result } }), undefined);
    return params;
  }

  lose() {
    this.core.lost(this.at);
  }

  acquire(job = {}, timeout = Infinity) {
    const outcome = {};
    outcome.call = this.core.acquire(job, this.at + timeout, this.at, (error, lease) => {
      assert.ok(!("error" in outcome), "done is called once");
      Object.assign(outcome, { error, lease });
    });
    return outcome;
  }

  /** A lease that the arbiter has granted. */
  held(id, slots = 1, job = {}) {
    const outcome = this.acquire({ min: slots, ...job });
    this.say({ id: outcome.call.id, result: { lease: id, slots } });
    this.sent();
    return outcome.lease;
  }
}

function connected() {
  const desk = new Desk();
  desk.up();
  return desk;
}

test("hello names the client; nothing is declared the first time", () => {
  const desk = new Desk();
  assert.deepEqual(desk.up(), { protocol: 1, cookie: COOKIE, name: "t", pid: 7 });
  assert.deepEqual(desk.told, [["up", 1]]);
});

test("a refused hello is told", () => {
  for (const [message, code] of [
    [{ error: { code: Code.notAuthorized, message: "no" } }, Code.notAuthorized],
    [{ result: { ...HELLO, protocol: 2 } }, Code.unsupportedProtocol],
  ]) {
    const desk = new Desk();
    desk.core.opened();
    desk.say({ id: 0, ...message });
    assert.deepEqual(desk.told, [["refused", code]]);
    assert.ok(!desk.core.up);
  }
});

test("answers find their requests in any order", () => {
  const desk = connected();
  const [first, second] = [desk.acquire({ min: 2, max: 3, type: "link" }, 50), desk.acquire()];
  assert.deepEqual(desk.sent(), [
    { id: 1, method: "acquire", params: { min: 2, max: 3, type: "link", timeout_ms: 50 } },
    { id: 2, method: "acquire", params: {} },
  ]);
  desk.say({ id: 2, result: { lease: 5, slots: 1 } });
  desk.say({ id: 1, error: { code: Code.unavailable, message: "late" } });
  assert.equal(second.lease.id, 5);
  assert.equal(first.error.code, Code.unavailable);
  assert.ok(!desk.core.busy);
});

test("an answer without what it must have breaks the connection", () => {
  const desk = connected();
  const { call } = desk.acquire();
  assert.match(desk.say({ id: call.id, result: { slots: 1 } }), /'lease'/);
});

test("release is a notification, in part or in whole", () => {
  const desk = connected();
  const lease = desk.held(9, 3);
  assert.equal(desk.core.release(lease, 1, desk.at), 2);
  assert.equal(desk.core.release(lease, 2, desk.at), 0);
  assert.deepEqual(desk.sent(), [
    { method: "release", params: { lease: 9, slots: 1 } },
    { method: "release", params: { lease: 9 } },
  ]);
  assert.equal(desk.core.leases.size, 0);
});

test("resize changes the lease only when it is granted", () => {
  const desk = connected();
  const lease = desk.held(9, 3);
  const answers = [];
  const done = (error, slots) => answers.push([error?.code, slots]);
  desk.core.resize(lease, 4, 6, desk.at, done);
  desk.core.resize(lease, 1, 2, desk.at, done);
  const [first, second] = desk.sent();
  assert.deepEqual(first.params, { lease: 9, min: 4, max: 6 });
  desk.say({ id: first.id, error: { code: Code.unavailable, message: "no" } });
  desk.say({ id: second.id, result: { slots: 2 } });
  assert.deepEqual(answers, [
    [Code.unavailable, 3],
    [undefined, 2],
  ]);
  assert.equal(lease.slots, 2);
});

test("what is held is declared again, and takes the number that it is given", () => {
  const desk = connected();
  const job = { type: "link", target: "app", memory: 5, priority: -1, pid: 70, start: 71 };
  const [kept, lost] = [desk.held(9, 2, job), desk.held(10)];
  desk.lose();
  assert.ok(!desk.core.up);
  const { resume } = desk.up({ resumed: [30, 0] });
  assert.deepEqual(resume, [
    { lease: 9, slots: 2, ...job },
    { lease: 10, slots: 1 },
  ]);
  assert.deepEqual([kept.id, kept.slots, lost.slots], [30, 2, 0]);
  assert.deepEqual(desk.told.slice(1), [
    ["gone", lost],
    ["up", 1],
  ]);
});

test("what was given back while the connection was lost is not declared", () => {
  const desk = connected();
  const [whole, part] = [desk.held(9, 2), desk.held(10, 3)];
  desk.lose();
  desk.core.release(whole, 2, desk.at);
  desk.core.release(part, 1, desk.at);
  assert.deepEqual(desk.up({ resumed: [10] }).resume, [{ lease: 10, slots: 2 }]);
  assert.deepEqual(desk.sent(), []);
});

test("what was given back between hello and its answer goes back under the new number", () => {
  const desk = connected();
  const [whole, part] = [desk.held(9, 2), desk.held(10, 3)];
  desk.lose();
  desk.core.opened();
  desk.sent();
  desk.core.release(whole, 2, desk.at);
  desk.core.release(part, 1, desk.at);
  desk.say({ id: 0, result: { ...HELLO, resumed: [19, 20] } });
  assert.deepEqual(desk.sent(), [
    { method: "release", params: { lease: 19 } },
    { method: "release", params: { lease: 20, slots: 1 } },
  ]);
  assert.deepEqual([...desk.core.leases], [part]);
});

test("no more than 512 leases are declared; the others are gone", () => {
  const desk = connected();
  const leases = Array.from({ length: 513 }, (_, at) => desk.held(at + 1));
  desk.lose();
  const { resume } = desk.up({ resumed: leases.slice(0, 512).map(({ id }) => id) });
  assert.equal(resume.length, 512);
  assert.deepEqual(
    desk.told.filter(([what]) => what === "gone"),
    [["gone", leases[512]]],
  );
});

test("requests that waited are asked again in their order, with the time that is left", () => {
  const desk = connected();
  desk.acquire({ target: "a" }, 500);
  desk.acquire({ target: "b" });
  desk.sent();
  desk.at += 100;
  desk.lose();
  desk.acquire({ target: "c" }, 300);
  desk.at += 200;
  desk.up();
  assert.deepEqual(
    desk.sent().map(({ params }) => params),
    [{ target: "a", timeout_ms: 200 }, { target: "b" }, { target: "c", timeout_ms: 100 }],
  );
});

test("while lost a deadline ends the wait, and one of 0 at once", () => {
  const desk = connected();
  const early = desk.acquire({}, 500);
  desk.at += 100;
  desk.lose();
  assert.equal(desk.core.wakeAt(), 1500);
  desk.core.tick(1499);
  assert.equal(early.error, undefined);
  desk.core.tick(1500);
  assert.equal(early.error.code, Code.unavailable);
  assert.equal(desk.acquire({}, 0).error.code, Code.unavailable);
  assert.equal(desk.core.wakeAt(), Infinity);
});

test("a deadline that passed before the loss was seen counts", () => {
  const desk = connected();
  const late = desk.acquire({}, 500);
  desk.at += 501;
  desk.lose();
  assert.equal(late.error.code, Code.unavailable);
});

test("lost for long, whoever holds nothing runs one job at a time", () => {
  const desk = connected();
  desk.lose();
  const [two, first, second] = [
    desk.acquire({ min: 2, max: 4 }),
    desk.acquire({ max: 4 }),
    desk.acquire(),
  ];
  assert.equal(desk.core.wakeAt(), desk.at + ALONE_AFTER_MS);
  desk.core.lost(desk.at + 3000); // an attempt that failed does not count as a new loss
  desk.core.tick(desk.at + ALONE_AFTER_MS - 1);
  assert.equal(first.lease, undefined);
  desk.at += ALONE_AFTER_MS;
  desk.core.tick(desk.at);
  assert.deepEqual([first.lease.id, first.lease.slots], [0, 1]);
  assert.equal(second.lease, undefined);
  desk.core.release(first.lease, 1, desk.at);
  assert.equal(second.lease.id, 0);
  assert.equal(two.lease, undefined);

  assert.equal(desk.up().resume, undefined);
  assert.deepEqual(
    desk.sent().map(({ params }) => params),
    [{ min: 2, max: 4 }],
  );
  desk.core.release(second.lease, 1, desk.at);
  assert.deepEqual(desk.sent(), []);
});

test("lost for long, whoever holds a lease gets no more", () => {
  const desk = connected();
  const lease = desk.held(9);
  desk.lose();
  const waiting = desk.acquire();
  desk.at += 2 * ALONE_AFTER_MS;
  desk.core.tick(desk.at);
  assert.equal(waiting.lease, undefined);
  desk.core.release(lease, 1, desk.at);
  assert.equal(waiting.lease.id, 0);
});

test("the arbiter decides about cancel", () => {
  const desk = connected();
  const [late, early] = [desk.acquire(), desk.acquire()];
  const decided = [];
  desk.sent();
  for (const { call } of [late, early])
    desk.core.cancel(call, desk.at, (word) => decided.push(word));
  const [first, second] = desk.sent();
  assert.deepEqual([first.method, first.params], ["cancel", { id: late.call.id }]);
  desk.say({ id: late.call.id, result: { lease: 4, slots: 1 } });
  desk.say({ id: first.id, result: { cancelled: false } });
  desk.say({ id: second.id, result: { cancelled: true } });
  assert.equal(early.error, undefined);
  desk.say({ id: early.call.id, error: { code: Code.cancelled, message: "cancelled" } });
  assert.deepEqual([late.lease.id, early.error.code], [4, Code.cancelled]);
  desk.core.cancel(late.call, desk.at, (word) => decided.push(word));
  assert.deepEqual(decided, [false, true, false]);
  assert.deepEqual(desk.sent(), []);
});

test("what is abandoned ends at once; what is granted all the same goes back", () => {
  const desk = connected();
  const waiting = desk.acquire();
  desk.sent();
  desk.core.abandon(waiting.call, desk.at);
  desk.core.abandon(waiting.call, desk.at);
  assert.equal(waiting.error.code, Code.cancelled);
  assert.ok(!desk.core.busy);
  const [{ id, method, params }, ...more] = desk.sent();
  assert.deepEqual([method, params, more], ["cancel", { id: waiting.call.id }, []]);
  desk.say({ id: waiting.call.id, result: { lease: 4, slots: 2 } });
  assert.deepEqual(desk.sent(), [{ method: "release", params: { lease: 4 } }]);
  desk.say({ id, result: { cancelled: false } });
});

test("what was cancelled or abandoned is not asked again", () => {
  const desk = connected();
  const decided = [];
  const outcomes = [1, 2, 3, 4].map(() => desk.acquire());
  const [before, during, left, leftDuring] = outcomes;
  desk.core.cancel(before.call, desk.at, (word) => decided.push(word));
  desk.core.abandon(left.call, desk.at);
  desk.lose();
  desk.core.cancel(during.call, desk.at, (word) => decided.push(word));
  desk.core.abandon(leftDuring.call, desk.at);
  assert.deepEqual(
    outcomes.map(({ error }) => error.code),
    Array(4).fill(Code.cancelled),
  );
  assert.deepEqual(decided, [true, true]);
  desk.up();
  assert.deepEqual(desk.sent(), []);
});

test("other calls fail with the connection, and without one", () => {
  const desk = connected();
  const errors = [];
  const lease = desk.held(9);
  const done = (error) => errors.push(error.code);
  desk.core.ask("status", undefined, desk.at, done);
  desk.core.resize(lease, 1, 2, desk.at, done);
  desk.lose();
  desk.core.ask("status", undefined, desk.at, done);
  assert.deepEqual(errors, [0, 0, 0]);
  desk.up({ resumed: [9] });
  assert.deepEqual(desk.sent(), []);
});

test("a report is kept while the connection is lost", () => {
  const desk = connected();
  const [lease, ended] = [desk.held(9), desk.held(10)];
  const answers = [];
  const done = (error, result) => answers.push(error ?? result);
  desk.core.report(lease, { peak_memory: 1 }, desk.at, done);
  desk.lose();
  assert.deepEqual(answers, []);
  desk.core.report(lease, { pid: 70, start: 71 }, desk.at, done);
  desk.core.report(ended, { exit: 1 }, desk.at, done);
  assert.deepEqual(answers, [{}, {}]);
  desk.core.report(ended, { exit: 2 }, desk.at, done);
  desk.core.release(ended, 1, desk.at);
  const { resume } = desk.up({ resumed: [19] });
  assert.deepEqual(resume, [{ lease: 9, slots: 1, pid: 70, start: 71 }]);
  const [first, second, ...more] = desk.sent();
  assert.deepEqual(first.params, { lease: 19, peak_memory: 1 });
  assert.deepEqual(second.params, { lease: 19, pid: 70, start: 71 });
  assert.deepEqual(more, []);
  desk.say({ id: first.id, result: {} });
  desk.say({ id: second.id, result: { watched: true } });
  assert.deepEqual(answers, [{}, {}, {}, {}]);
});

test("a kept report does not keep anybody waiting", () => {
  const desk = connected();
  const lease = desk.held(9);
  desk.lose();
  desk.core.report(lease, { exit: 1 }, desk.at, () => {});
  assert.ok(!desk.core.busy);
});

test("events are subscribed to again", () => {
  const desk = connected();
  desk.core.ask("subscribe", undefined, desk.at, () => {});
  desk.lose();
  desk.up();
  assert.deepEqual(desk.sent(), [{ method: "subscribe" }]);
});

test("notices come with the lease that they are about", () => {
  const desk = connected();
  const lease = desk.held(9);
  desk.say({ method: "recall", params: { lease: 9, slots: 0 } });
  desk.say({ method: "event", params: { kind: "set" } });
  assert.deepEqual(desk.told.slice(1), [
    ["recall", { lease: 9, slots: 0 }, lease],
    ["event", { kind: "set" }, undefined],
  ]);
});

test("a request that is too long is not sent, now or again", () => {
  const desk = connected();
  const long = desk.acquire({ target: "x".repeat(70000) });
  assert.match(long.error.message, /65536 bytes/);
  assert.deepEqual(desk.sent(), []);
  desk.lose();
  desk.up();
  assert.deepEqual(desk.sent(), []);
});

test("after the end nothing is held, waited for or sent", () => {
  const desk = connected();
  const lease = desk.held(9, 2);
  const waiting = desk.acquire();
  desk.sent();
  desk.core.end();
  assert.match(waiting.error.message, /closed/);
  assert.equal(waiting.error.code, Code.client);
  assert.equal(lease.slots, 0);
  assert.ok(!desk.core.busy);
  assert.deepEqual(desk.sent(), []);
});

test("an arbiter that repeats the cookie does not get it into an error", () => {
  const desk = connected();
  const { call } = desk.acquire();
  const outcome = desk.acquire();
  desk.say({ id: call.id, result: { lease: 1, slots: 1 } });
  desk.say({ id: outcome.call.id, error: { code: -32602, message: `what is ${COOKIE}?` } });
  assert.equal(outcome.error.message, "what is (cookie)?");
});
