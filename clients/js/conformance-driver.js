#!/usr/bin/env node
// The driver that tests/conformance starts: commands come on stdin, answers go to stdout, a line of
// JSON each.

import { createInterface } from "node:readline";
import { once } from "node:events";
import { Code, connect } from "./src/index.js";

let pool;
const requests = new Map(); // key to {lease, answer}, two promises
const leases = new Map();
const notices = { recall: [], revoke: [], event: [] };

function begin(key, { timeout_ms: timeoutMs, ...options }) {
  const lease = pool.acquire({ ...options, timeoutMs });
  const answer = lease
    .then((granted) => {
      leases.set(key, granted);
      return { ok: true, lease: granted.id, slots: granted.slots };
    })
    .catch(failure);
  requests.set(key, { lease, answer });
  return answer;
}

function failure(error) {
  return { ok: false, code: error.code ?? Code.client, error: error.message };
}

function lease(key) {
  if (!leases.has(key)) throw new Error(`there is no lease '${key}'`);
  return leases.get(key);
}

async function wait(event, connected) {
  while (pool.connected !== connected) await once(pool, event);
  return {};
}

const actions = {
  async connect() {
    pool = await connect({ name: "conformance" });
    for (const [method, got] of Object.entries(notices))
      pool.on(method, (params) => got.push(params));
    const { mode, reason, slots, jobserverReason } = pool;
    return { mode, reason, slots, jobserver_reason: jobserverReason };
  },
  acquire: begin,
  begin(key, options) {
    begin(key, options);
  },
  await: (key) => requests.get(key).answer,
  async cancel(key) {
    return { cancelled: await pool.cancel(requests.get(key).lease) };
  },
  async release(key, { slots }) {
    const left = await lease(key).release(slots);
    if (left === 0) leases.delete(key);
    return { slots: left };
  },
  async resize(key, { min, max }) {
    return { slots: await lease(key).resize(min, max) };
  },
  async report(key, { pid, start, peak_memory: peakMemory, cpu_seconds: cpuSeconds, exit }) {
    await lease(key).report({ pid, start, peakMemory, cpuSeconds, exit });
  },
  async status() {
    return { status: await pool.status() };
  },
  leases() {
    const held = [...leases].filter(([, { slots }]) => slots > 0);
    const told = held.map(([key, { id, slots }]) => [key, { lease: id, slots }]);
    return { leases: Object.fromEntries(told), connected: pool.connected };
  },
  wait_connected: () => wait("connected", true),
  wait_disconnected: () => wait("disconnected", false),
  async wait_notice(key, { method }) {
    while (!notices[method].length) await once(pool, method);
    return { params: notices[method].shift() };
  },
  close: () => pool.close(),
  quit() {},
};

const input = createInterface({ input: process.stdin });
let last = Promise.resolve();
input.on("line", (line) => {
  last = last.then(async () => {
    const { do: what, key, ...rest } = JSON.parse(line);
    const answer = await Promise.resolve()
      .then(() => actions[what](key, rest))
      .catch(failure);
    process.stdout.write(JSON.stringify({ ok: true, ...answer }) + "\n");
    if (what === "quit") process.exit(0);
  });
});
input.on("close", () => process.exit(0));
