// An arbiter for tests: it answers hello, and everything else as the test says.

import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const COOKIE = "0123456789abcdef".repeat(4);
export const HELLO = {
  session: 1,
  server: "fake",
  protocol: 1,
  slots: 4,
  epoch: "e",
  features: [],
};

/** A folder that is removed after the test, with room for the path of a socket (107 bytes). */
export function folder(t) {
  const base = tmpdir().length > 40 ? "/tmp" : tmpdir();
  const path = mkdtempSync(join(base, "tokenpool-js-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** A queue that is read with await. */
export class Queue {
  #items = [];
  #readers = [];

  push(item) {
    if (this.#readers.length) this.#readers.shift()(item);
    else this.#items.push(item);
  }

  async next() {
    return this.#items.length
      ? this.#items.shift()
      : new Promise((resolve) => this.#readers.push(resolve));
  }
}

export class FakeArbiter {
  hellos = new Queue();
  requests = new Queue();
  ends = new Queue();
  /** Of each hello's params: its result, an error {code, message}, or nothing. */
  greet = ({ resume }) => ({ ...HELLO, resumed: resume?.map(({ lease }) => lease) });
  #server;
  #sockets = new Set();

  constructor(where) {
    this.where = where;
  }

  /** On a Unix socket in a folder of its own, or on `where`, options of listen(). */
  static async start(t, where = { path: join(folder(t), "socket") }) {
    const arbiter = new FakeArbiter(where);
    await arbiter.listen();
    t.after(() => arbiter.stop());
    return arbiter;
  }

  get address() {
    return this.where.path
      ? `unix:${this.where.path}`
      : `tcp:127.0.0.1:${this.#server.address().port}`;
  }

  env(more) {
    return { TOKENPOOL_ADDR: this.address, TOKENPOOL_COOKIE: COOKIE, ...more };
  }

  async listen() {
    this.#server = net.createServer((socket) => this.#serve(socket));
    await new Promise((resolve) => this.#server.listen(this.where, resolve));
  }

  /** Ends all connections; new ones are taken. */
  drop() {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop() {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  send(message) {
    for (const socket of this.#sockets)
      socket.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
  }

  /** The next request, which must be of `method`. */
  async next(method) {
    const request = await this.requests.next();
    if (request.method !== method) throw new Error(`${request.method} came in place of ${method}`);
    return request;
  }

  #serve(socket) {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.ends.push(true);
    });
    createInterface({ input: socket }).on("line", (line) => {
      const { id, method, params = {} } = JSON.parse(line);
      const answer = (body) => {
        if (!socket.destroyed) socket.write(JSON.stringify({ jsonrpc: "2.0", id, ...body }) + "\n");
      };
      if (method !== "hello") {
        const reply = (result) => answer({ result });
        const refuse = (code, message = "no") => answer({ error: { code, message } });
        this.requests.push({ id, method, params, reply, refuse });
        return;
      }
      this.hellos.push(params);
      const said = this.greet(params);
      if (said) answer(said.code ? { error: said } : { result: said });
    });
  }
}
