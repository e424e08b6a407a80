// What users of the package see; index.d.ts describes it.

import { EventEmitter } from "node:events";
import { basename } from "node:path";
import { Arbiter } from "./arbiter.js";
import { readArbiter, readJobserver, readLease, startOf } from "./environment.js";
import { Code, TokenpoolError } from "./errors.js";
import { Local } from "./local.js";
import { openTokens } from "./tokens.js";

export { Code, TokenpoolError };

const INSPECT = Symbol.for("nodejs.util.inspect.custom");
const DISPOSE = Symbol.asyncDispose ?? Symbol("asyncDispose");
const MAX_NAME = 64; // bytes

export class Lease {
  #backend;
  #held; // what the backend knows of it
  #resized;

  constructor(backend, held) {
    this.#backend = backend;
    this.#held = held;
    held.lease = this;
  }

  get id() {
    return this.#held.id;
  }

  get slots() {
    return this.#held.slots;
  }

  get watched() {
    return this.#held.watched ?? false;
  }

  async release(slots) {
    if (slots !== undefined) await this.#resized; // else its answer would undo this
    const held = this.#held;
    if (held.slots === 0) return 0;
    if (slots !== undefined && !(Number.isInteger(slots) && slots >= 1 && slots <= held.slots)) {
      throw new TokenpoolError(
        Code.client,
        `release: ${slots} of ${held.slots} slots cannot be given back`,
      );
    }
    return this.#backend.release(held, slots ?? held.slots);
  }

  resize(min, max = min) {
    const answer = Promise.resolve(this.#resized).then(() => {
      this.#mustBeHeld("resize");
      return this.#backend.resize(this.#held, min, max);
    });
    this.#resized = answer.catch(() => {});
    return answer;
  }

  async report({ pid, start, peakMemory, cpuSeconds, exit } = {}) {
    this.#mustBeHeld("report");
    const members = {
      ...owner(pid, start),
      peak_memory: peakMemory,
      cpu_seconds: cpuSeconds,
      exit,
    };
    const result = await this.#backend.report(this.#held, members);
    this.#held.watched = result.watched ?? this.#held.watched;
    return result;
  }

  async handTo(pid) {
    return (await this.report({ pid })).watched ?? false;
  }

  async [DISPOSE]() {
    await this.release();
  }

  #mustBeHeld(what) {
    if (this.slots === 0)
      throw new TokenpoolError(Code.noSuchLease, `${what}: the lease has ended`);
  }

  [INSPECT]() {
    return `Lease { id: ${this.id}, slots: ${this.slots} }`;
  }
}

export class Pool extends EventEmitter {
  #backend;
  #closed = false;
  #requests = new WeakMap(); // what acquire() has returned to what withdraws it

  constructor(backend, mode, reason, jobserverReason) {
    super();
    this.#backend = backend;
    Object.assign(this, { mode, reason, jobserverReason });
    backend.listener = (...words) => this.emit(...words);
  }

  get slots() {
    return this.#backend.slots;
  }

  get connected() {
    return this.#backend.connected;
  }

  get leases() {
    return [...this.#backend.leases].map((held) => held.lease);
  }

  acquire({ min, max, type, target, memory, priority, pid, start, timeoutMs, signal } = {}) {
    let request;
    const lease = new Promise((resolve, reject) => {
      if (this.#closed) throw closed("acquire");
      if (signal?.aborted) throw cancelled(signal);
      const job = { min, max, type, target, memory, priority, ...owner(pid, start) };
      const abort = () => request.abandon();
      signal?.addEventListener("abort", abort, { once: true });
      request = this.#backend.acquire(job, timeoutMs, (error, held) => {
        signal?.removeEventListener("abort", abort);
        if (held) resolve(new Lease(this.#backend, held));
        else reject(signal?.aborted ? cancelled(signal) : error);
      });
    });
    this.#requests.set(lease, request);
    return lease;
  }

  async cancel(lease) {
    return (await this.#requests.get(lease)?.cancel()) ?? false;
  }

  async tryAcquire(options) {
    try {
      return await this.acquire({ ...options, timeoutMs: 0 });
    } catch (error) {
      if (error.code === Code.unavailable) return null;
      throw error;
    }
  }

  async with(options, run) {
    const lease = await this.acquire(options);
    try {
      return await run(lease);
    } finally {
      await lease.release();
    }
  }

  status() {
    return this.#ask("status");
  }

  set(changes) {
    return this.#ask("set", changes);
  }

  async subscribe() {
    await this.#ask("subscribe");
  }

  async close() {
    if (this.#closed) return;
    this.#closed = true;
    await this.#backend.close();
  }

  async #ask(method, params) {
    if (this.#closed) throw closed(method);
    return this.#backend.ask(method, params);
  }

  [INSPECT]() {
    return `Pool { mode: '${this.mode}', reason: '${this.reason}', slots: ${this.slots} }`;
  }
}

export async function connect({ name = basename(process.argv[1] ?? ""), env = process.env } = {}) {
  const found = readArbiter(env);
  let reason = found.reason;
  if (!reason) {
    const hello = {
      name: cut(name),
      pid: process.pid,
      start: startOf("self"),
      lease: readLease(env),
    };
    const arbiter = new Arbiter(found.addresses, found.cookie, hello);
    reason = await arbiter.open();
    if (reason === "ok") return new Pool(arbiter, "protocol", "ok");
  }
  const jobserver = readJobserver(env);
  const tokens = jobserver.reason ? jobserver : openTokens(jobserver);
  if (tokens.reason) return new Pool(new Local(1), "single", reason, tokens.reason);
  return new Pool(new Local(jobserver.slots, tokens), "jobserver", reason);
}

function owner(pid, start) {
  return pid === undefined ? {} : { pid, start: start ?? startOf(pid) };
}

function closed(what) {
  return new TokenpoolError(Code.client, `${what}: the pool is closed`);
}

function cancelled({ reason }) {
  return new TokenpoolError(Code.cancelled, "the request was cancelled", { cause: reason });
}

// Whole characters of at most MAX_NAME bytes.
function cut(name) {
  let out = "";
  for (const character of String(name)) {
    if (Buffer.byteLength(out + character) > MAX_NAME) break;
    out += character;
  }
  return out || "node";
}
