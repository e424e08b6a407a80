// A client's side of a session: bytes and times in, bytes and calls out. No socket, clock or timer.
//
// It outlives its connections: leases and waiting requests stay while it is lost and are declared
// and asked again in the next one. Times are milliseconds of any monotonic clock; deadlines are
// absolute.

import { Code, TokenpoolError } from "./errors.js";
import { BadAnswer, MAX_LINE, NOTICES, Lines, decode, encode } from "./wire.js";

const HELLO_ID = 0;
const MAX_RESUME = 512;
/** Lost for so long, a client without any lease runs one job all the same. */
export const ALONE_AFTER_MS = 5000;

export class Core {
  #cookie;
  #hello;
  #events;
  #state = "lost"; // lost, greeting, up
  #lines;
  #out = "";
  #nextId = HELLO_ID + 1;
  #calls = new Map(); // id to call, in the order in which they were made
  #declared = [];
  #lostAt = 0;
  #subscribed = false;
  /** What is held: {id, slots, job}; id 0: without an arbiter, while it is lost. */
  leases = new Set();

  /**
   * `hello`: its members without protocol, cookie and resume. `events`: up(result), refused(code)
   * in place of up, notice(method, params, lease or undefined), gone(lease): the arbiter does not
   * know it any more.
   */
  constructor(cookie, hello, events) {
    this.#cookie = cookie;
    this.#hello = hello;
    this.#events = events;
  }

  get up() {
    return this.#state === "up";
  }

  /** Whether somebody waits for an answer. */
  get busy() {
    for (const call of this.#calls.values()) if (!call.abandoned && !call.quiet) return true;
    return false;
  }

  /** What is to be sent now; it is handed out once. */
  take() {
    const out = this.#out;
    this.#out = "";
    return out;
  }

  // --- what happens to the connection ---

  /** A connection is there: says hello and declares what is held. */
  opened() {
    this.#state = "greeting";
    this.#lines = new Lines();
    this.#declared = [...this.leases]
      .filter((lease) => lease.id)
      .slice(0, MAX_RESUME)
      .map((lease) => ({ lease, slots: lease.slots }));
    const resume = this.#declared.map(({ lease: { id, slots, job } }) => ({
      lease: id,
      slots,
      ...job,
    }));
    this.#out = encode(
      "hello",
      {
        protocol: 1,
        cookie: this.#cookie,
        ...this.#hello,
        resume: resume.length ? resume : undefined,
      },
      HELLO_ID,
    );
  }

  /** Bytes have come. Returns why the connection is to be closed, or undefined. */
  receive(bytes, now) {
    try {
      for (const line of this.#lines.push(bytes)) {
        const message = decode(line);
        if (message) this.#message(message, now);
      }
    } catch (error) {
      if (error instanceof BadAnswer) return error.message;
      throw error;
    }
    return undefined;
  }

  /** The connection has ended, or could not be made. */
  lost(now) {
    if (this.up) this.#lostAt = now;
    this.#state = "lost";
    this.#out = "";
    for (const [id, call] of this.#calls) {
      if (call.again && !call.abandoned) continue;
      this.#calls.delete(id);
      if (!call.abandoned) call.done(lostError(call.method));
    }
    this.tick(now);
  }

  /** The user wants no more: nothing is held, waited for or sent after this. */
  end() {
    const calls = [...this.#calls.values()].filter((call) => !call.abandoned);
    this.#calls.clear();
    for (const lease of this.leases) lease.slots = 0;
    this.leases.clear();
    this.#state = "lost";
    for (const call of calls)
      call.done(new TokenpoolError(Code.client, `${call.method}: the pool is closed`));
  }

  /** The time has come that wakeAt() told, or a later one. */
  tick(now) {
    if (this.up) return;
    for (const [id, call] of this.#calls) {
      if (call.deadline <= now) {
        this.#calls.delete(id);
        call.done(new TokenpoolError(Code.unavailable, "no slot in time; the arbiter is away"));
      } else if (this.#mayRunAlone(call) && now >= this.#lostAt + ALONE_AFTER_MS) {
        this.#calls.delete(id);
        this.#grant(call, { lease: 0, slots: 1 });
      }
    }
  }

  /** When tick() has something to do unless something else happens before; Infinity: never. */
  wakeAt() {
    let at = Infinity;
    if (this.up) return at;
    for (const call of this.#calls.values()) {
      at = Math.min(at, call.deadline);
      if (this.#mayRunAlone(call)) at = Math.min(at, this.#lostAt + ALONE_AFTER_MS);
    }
    return at;
  }

  // --- what the user wants; `done(error, result)` is called once ---

  /**
   * `done` gets a lease. `deadline` may be Infinity; the arbiter watches over it, and tick() while
   * there is none. Returns the call, for cancel().
   */
  acquire(job, deadline, now, done) {
    const { min, max, ...rest } = job;
    const left = (at) =>
      deadline === Infinity ? undefined : Math.max(0, Math.round(deadline - at));
    const params = (at) => ({ min, max, ...rest, timeout_ms: left(at) });
    const call = {
      method: "acquire",
      params,
      done,
      deadline,
      again: true,
      job: rest,
      min: min ?? 1,
    };
    return this.#call(call, now);
  }

  /**
   * Asks to withdraw a request. `decided(true)`: its `done` gets the error; `decided(false)`: it
   * has been answered already, or will be by what is on its way.
   */
  cancel(call, now, decided) {
    if (!this.#waits(call)) return decided(false);
    if (!this.up) return decided(this.#drop(call));
    const done = (error, result) => decided(error ? this.#drop(call) : result.cancelled === true);
    this.#call(
      { method: "cancel", params: () => ({ id: call.id }), done, quiet: call.abandoned },
      now,
    );
  }

  /** Withdraws a request at once; what is granted all the same goes back. */
  abandon(call, now) {
    if (!this.#waits(call) || call.abandoned) return;
    if (this.up) {
      call.abandoned = true;
      this.cancel(call, now, () => {});
    } else {
      this.#calls.delete(call.id);
    }
    call.done(cancelledError());
  }

  /** Gives back `slots`. Returns how many are left; at 0 the lease has ended. */
  release(lease, slots, now) {
    lease.slots -= slots;
    if (lease.slots === 0) this.leases.delete(lease);
    const all = lease.slots === 0;
    if (this.up && lease.id)
      this.#notify("release", { lease: lease.id, slots: all ? undefined : slots });
    this.tick(now);
    return lease.slots;
  }

  resize(lease, min, max, now, done) {
    const applied = (error, result) => {
      if (result && this.leases.has(lease)) lease.slots = result.slots;
      done(error, lease.slots);
    };
    const params = () => ({ lease: lease.id, min, max });
    this.#call({ method: "resize", params, done: applied, needs: ["slots"] }, now);
  }

  /** While lost it is kept and sent later, and `done` gets an empty object at once. */
  report(lease, members, now, done) {
    if (members.pid !== undefined)
      Object.assign(lease.job, { pid: members.pid, start: members.start });
    const params = () => ({ lease: lease.id, ...members });
    const quiet = !this.up;
    this.#call(
      { method: "report", params, done: quiet ? () => {} : done, again: true, lease, quiet },
      now,
    );
    if (quiet) done(null, {});
  }

  /** status, set or subscribe. */
  ask(method, params, now, done) {
    if (method === "subscribe") this.#subscribed = true;
    this.#call({ method, params: () => params, done }, now);
  }

  // --- within ---

  #waits(call) {
    return this.#calls.get(call.id) === call;
  }

  #drop(call) {
    if (!this.#waits(call)) return false;
    this.#calls.delete(call.id);
    if (!call.abandoned) call.done(cancelledError());
    return true;
  }

  #mayRunAlone(call) {
    return call.job !== undefined && call.min === 1 && this.leases.size === 0;
  }

  #notify(method, params) {
    this.#out += encode(method, params);
  }

  #call(call, now) {
    call.id = this.#nextId++;
    call.deadline ??= Infinity;
    this.#calls.set(call.id, call);
    if (this.up) {
      this.#send(call, now);
    } else if (!call.again) {
      this.#calls.delete(call.id);
      call.done(lostError(call.method));
    }
    this.tick(now);
    return call;
  }

  #send(call, now) {
    const line = encode(call.method, call.params(now), call.id);
    if (Buffer.byteLength(line) <= MAX_LINE) {
      this.#out += line;
    } else {
      this.#calls.delete(call.id);
      call.done(
        new TokenpoolError(
          Code.client,
          `${call.method} has more than ${MAX_LINE} bytes; shorten it`,
        ),
      );
    }
  }

  #message(message, now) {
    if (message.kind === "notification") {
      const lease = [...this.leases].find((held) => held.id && held.id === message.params.lease);
      if (this.up && NOTICES.includes(message.method))
        this.#events.notice(message.method, message.params, lease);
    } else if (this.#state === "greeting") {
      if (message.id === HELLO_ID) this.#greeted(message, now);
    } else {
      this.#answered(message);
    }
  }

  #greeted({ kind, code, result }, now) {
    if (kind === "error" || (result.protocol ?? 1) !== 1) {
      this.#events.refused(kind === "error" ? code : Code.unsupportedProtocol);
      return;
    }
    need(result, ["session", "slots"]);
    this.#state = "up";
    const held = new Set(this.#declared.map(({ lease }) => lease));
    this.#declared.forEach(({ lease, slots }, at) =>
      this.#resumed(lease, slots, result.resumed?.[at] ?? 0),
    );
    for (const lease of this.leases) {
      if (lease.id && !held.has(lease)) this.#gone(lease); // more than can be declared
    }
    if (this.#subscribed) this.#notify("subscribe", undefined);
    for (const call of this.#calls.values()) {
      if (call.lease && !this.leases.has(call.lease)) {
        this.#calls.delete(call.id);
        call.done(null, {}); // a report about a lease that has ended
      } else {
        this.#send(call, now);
      }
    }
    this.#events.up(result);
  }

  #resumed(lease, declared, id) {
    const left = this.leases.has(lease) ? lease.slots : 0;
    lease.id = id;
    if (!id) {
      if (left) this.#gone(lease);
    } else if (left < declared) {
      this.#notify("release", { lease: id, slots: left ? declared - left : undefined });
    }
  }

  #gone(lease) {
    this.leases.delete(lease);
    lease.slots = 0;
    this.#events.gone(lease);
  }

  #answered({ kind, id, result, code, message }) {
    const call = this.#calls.get(id);
    if (!call) return;
    if (kind === "result") need(result, call.job ? ["lease", "slots"] : (call.needs ?? []));
    this.#calls.delete(id);
    if (kind === "result" && call.job) {
      if (call.abandoned) this.#notify("release", { lease: result.lease });
      else this.#grant(call, result);
    } else if (!call.abandoned) {
      const error =
        kind === "error" && new TokenpoolError(code, message.replaceAll(this.#cookie, "(cookie)"));
      call.done(error || null, result);
    }
  }

  #grant(call, { lease: id, slots, watched }) {
    const lease = { id, slots, watched, job: call.job };
    this.leases.add(lease);
    call.done(null, lease);
  }
}

function need(result, names) {
  const missing = names.find((name) => result[name] === undefined);
  if (missing) throw new BadAnswer(`the arbiter's answer has no '${missing}'`);
}

function cancelledError() {
  return new TokenpoolError(Code.cancelled, "the request was cancelled");
}

function lostError(method) {
  return new TokenpoolError(
    Code.client,
    `${method}: the connection to the arbiter is lost; try again later`,
  );
}
