// The core with a socket and a clock: connects, connects again, and tells the core what has
// happened.

import net from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Core } from "./core.js";
import { Code } from "./errors.js";
import { Keeper } from "./keeper.js";

const HELLO_MS = 5000;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 5000;
// So that what is held is declared while a new arbiter grants nothing.
const LAST_RETRY_OF_HOLDER_MS = 100;

const WORST_FIRST = ["refused", "incompatible", "no-answer", "unreachable"];

export class Arbiter {
  #addresses;
  #core;
  #socket;
  #refusal;
  #closed = false;
  #opening = false;
  #flushing = false;
  #timer;
  #keeper = new Keeper();
  slots = 1;
  /**
   * Is called with each event: "connected", "disconnected", "lost" and the notices, as Pool emits
   * them.
   */
  listener = () => {};

  constructor(addresses, cookie, hello) {
    this.#addresses = addresses;
    this.#core = new Core(cookie, hello, {
      up: (result) => (this.slots = result.slots),
      refused: (code) => {
        this.#refusal = code === Code.unsupportedProtocol ? "incompatible" : "refused";
      },
      notice: (method, params, held) => this.#tell(method, params, held?.lease),
      gone: (held) => this.#tell("lost", held.lease),
    });
  }

  get leases() {
    return this.#core.leases;
  }

  get connected() {
    return this.#core.up;
  }

  /** The first connection. Resolves to "ok" or why there is none. */
  async open() {
    this.#opening = true;
    this.#after();
    const reason = await this.#dial();
    this.#opening = false;
    if (reason !== "ok") this.#closed = true;
    this.#after();
    return reason;
  }

  acquire(job, timeoutMs, done) {
    const now = performance.now();
    const call = this.#core.acquire(
      job,
      timeoutMs === undefined ? Infinity : now + timeoutMs,
      now,
      done,
    );
    this.#after();
    const then = (act) => {
      act(performance.now());
      this.#after();
    };
    return {
      abandon: () => then((at) => this.#core.abandon(call, at)),
      cancel: () => new Promise((resolve) => then((at) => this.#core.cancel(call, at, resolve))),
    };
  }

  release(lease, slots) {
    const left = this.#core.release(lease, slots, performance.now());
    this.#after();
    return left;
  }

  resize(lease, min, max) {
    return this.#promise((done) => this.#core.resize(lease, min, max, performance.now(), done));
  }

  report(lease, members) {
    return this.#promise((done) => this.#core.report(lease, members, performance.now(), done));
  }

  async ask(method, params) {
    const result = await this.#promise((done) =>
      this.#core.ask(method, params, performance.now(), done),
    );
    if (method === "set" && result.slots) this.slots = result.slots;
    return result;
  }

  /** The arbiter takes back what the session holds as soon as the connection has ended. */
  async close() {
    this.#closed = true;
    this.#flush();
    this.#core.end();
    this.#after();
    const socket = this.#socket;
    if (!socket || socket.destroyed) return;
    this.#keeper.set(true);
    const ended = new Promise((resolve) => socket.once("close", resolve));
    if (socket.connecting) socket.destroy();
    else socket.end(() => socket.destroy());
    await ended;
  }

  // Later: whoever is granted a lease has it before what is told about it.
  #tell(...words) {
    setImmediate(() => this.#closed || this.listener(...words));
  }

  #promise(begin) {
    return new Promise((resolve, reject) => {
      begin((error, result) => (error ? reject(error) : resolve(result)));
      this.#after();
    });
  }

  // After everything that may have changed the core.
  #after() {
    if (!this.#flushing) {
      this.#flushing = true;
      // Not at once: a release and the acquire after it go out together.
      queueMicrotask(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
    this.#keeper.set(!this.#closed && (this.#opening || this.#core.busy));
    clearTimeout(this.#timer);
    const at = this.#closed ? Infinity : this.#core.wakeAt();
    if (at === Infinity) return;
    const wait = Math.min(Math.max(1, Math.ceil(at - performance.now())), 2 ** 31 - 1);
    this.#timer = setTimeout(() => {
      this.#core.tick(performance.now());
      this.#after();
    }, wait).unref();
  }

  #flush() {
    const out = this.#core.take();
    if (out && this.#socket?.writable) this.#socket.write(out);
  }

  async #dial() {
    const reasons = [];
    for (const address of this.#addresses) {
      const reason = await this.#try(address);
      if (reason === "ok" || this.#closed) return reason;
      reasons.push(reason);
    }
    return WORST_FIRST.find((reason) => reasons.includes(reason));
  }

  // Connects and says hello. Whatever ends the connection later, #lost() is told.
  #try(address) {
    return new Promise((resolve) => {
      let opened = false;
      this.#refusal = undefined;
      const socket = net.connect(address).unref();
      this.#socket = socket;
      const timer = setTimeout(() => socket.destroy(), HELLO_MS).unref();
      socket.on("connect", () => {
        opened = true;
        socket.setNoDelay(true);
        this.#core.opened();
        this.#after();
      });
      socket.on("data", (bytes) => {
        const was = this.connected;
        const broken = this.#core.receive(bytes, performance.now());
        if (broken || this.#refusal) socket.destroy();
        if (!was && this.connected) {
          clearTimeout(timer);
          if (!this.#opening) this.#tell("connected");
          resolve("ok");
        }
        this.#after();
      });
      socket.on("error", () => {}); // "close" follows
      socket.on("close", () => {
        clearTimeout(timer);
        const was = this.connected;
        if (opened) this.#core.lost(performance.now());
        resolve(this.#refusal ?? (opened ? "no-answer" : "unreachable"));
        if (was && !this.#closed) {
          this.#tell("disconnected");
          this.#again();
        }
        this.#after();
      });
    });
  }

  async #again() {
    for (let wait = FIRST_RETRY_MS; ; ) {
      await sleep(wait, undefined, { ref: false });
      if (this.#closed || (await this.#dial()) === "ok") return;
      const last = this.#core.leases.size > 0 ? LAST_RETRY_OF_HOLDER_MS : LAST_RETRY_MS;
      wait = Math.min(2 * wait, last);
    }
  }
}
