// A pool without an arbiter: the implicit slot that every process has, and the tokens of make's
// jobserver if there is one. Has the same methods as the Arbiter; its leases have the id 0.

import { Code, TokenpoolError } from "./errors.js";
import { Keeper } from "./keeper.js";

const NO_BUSY_LOOP_MS = 20;

export class Local {
  connected = false;
  slots;
  leases = new Set();
  #tokens;
  #implicit = true; // is free
  #waiting = new Set();
  #keeper = new Keeper();
  #pause;
  #atExit = () => this.leases.forEach((lease) => this.#tokens?.giveBack(lease.tokens));

  /** `tokens` may be missing. */
  constructor(slots, tokens) {
    this.slots = slots;
    this.#tokens = tokens;
    if (tokens) process.on("exit", this.#atExit);
  }

  acquire({ min = 1, max = min }, timeoutMs, done) {
    const call = { min, max, done };
    const wrong =
      rangeError(min, max) ??
      (this.#tokens || min === 1
        ? undefined
        : new TokenpoolError(Code.impossible, `there is one slot in all, and ${min} are needed`));
    if (wrong) {
      done(wrong);
      return { abandon() {}, cancel: async () => false };
    }
    this.#waiting.add(call);
    this.#serve();
    this.#watch();
    const fail = (code, text) => {
      if (!this.#end(call)) return false;
      this.#watch();
      done(new TokenpoolError(code, text));
      return true;
    };
    if (timeoutMs !== undefined && this.#waiting.has(call)) {
      const late = () => fail(Code.unavailable, "no slot in time");
      if (timeoutMs <= 0) late();
      else call.timer = setTimeout(late, Math.min(timeoutMs, 2 ** 31 - 1)).unref();
    }
    const cancel = () => fail(Code.cancelled, "the request was cancelled");
    return { abandon: cancel, cancel: async () => cancel() };
  }

  release(lease, slots) {
    const tokens = lease.tokens.splice(0, slots);
    this.#tokens?.giveBack([...tokens]);
    if (tokens.length < slots) this.#implicit = true;
    lease.slots -= slots;
    if (lease.slots === 0) this.leases.delete(lease);
    this.#serve();
    this.#watch();
    return lease.slots;
  }

  async resize(lease, min, max) {
    const wrong = rangeError(min, max);
    if (wrong) throw wrong;
    if (max < lease.slots) return this.release(lease, lease.slots - max);
    // More than `min` only if nobody who waits could use it.
    const most = this.#waiting.size ? Math.max(min, lease.slots) : max;
    const more = this.#take(min - lease.slots, most - lease.slots);
    if (!more) throw new TokenpoolError(Code.unavailable, `${min} slots are not to be had now`);
    lease.tokens.push(...more.tokens);
    return (lease.slots += more.slots);
  }

  async report() {
    return {};
  }

  async ask(method) {
    throw new TokenpoolError(Code.client, `${method}: there is no arbiter to ask`);
  }

  async close() {
    for (const call of this.#waiting) {
      this.#end(call);
      call.done(new TokenpoolError(Code.client, "acquire: the pool is closed"));
    }
    this.#watch();
    this.#atExit();
    process.removeListener("exit", this.#atExit);
    for (const lease of this.leases) lease.slots = 0;
    this.leases.clear();
    this.#tokens?.close();
    this.#tokens = undefined;
  }

  // {slots, tokens} with the implicit slot first, or undefined.
  #take(least, most) {
    const own = this.#implicit && most > 0 ? 1 : 0;
    const tokens = this.#tokens ? this.#tokens.take(least - own, most - own) : [];
    if (!tokens || own + tokens.length < least) return undefined;
    if (own) this.#implicit = false;
    return { slots: own + tokens.length, tokens };
  }

  // Everybody who can be served is, in their order. Returns whether anybody was.
  #serve() {
    const before = this.#waiting.size;
    for (const call of this.#waiting) {
      const taken = this.#take(call.min, call.max);
      if (!taken) continue;
      const lease = { id: 0, ...taken };
      this.#end(call);
      this.leases.add(lease);
      call.done(null, lease);
    }
    return this.#waiting.size < before;
  }

  #end(call) {
    clearTimeout(call.timer);
    return this.#waiting.delete(call);
  }

  // Waits for a token if anybody here waits. `idle`: there was one of which nobody could make use.
  #watch(idle = false) {
    this.#keeper.set(this.#waiting.size > 0);
    clearTimeout(this.#pause);
    if (!this.#tokens) return;
    this.#tokens.putAway();
    if (!this.#waiting.size) return;
    const listen = () => this.#tokens.listen(() => this.#watch(!this.#serve()));
    if (idle) this.#pause = setTimeout(listen, NO_BUSY_LOOP_MS).unref();
    else listen();
  }
}

function rangeError(min, max) {
  const right = [min, max].every((n) => Number.isInteger(n) && n >= 1 && n <= 512) && min <= max;
  return right
    ? undefined
    : new TokenpoolError(
        Code.client,
        `min ${min} and max ${max} must be whole, 1 to 512, min no more than max`,
      );
}
