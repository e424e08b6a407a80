// The tokens of GNU make's jobserver: single bytes in a FIFO or pipe, taken one at a time and given
// back as they were.

import fs from "node:fs";
import net from "node:net";

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = fs.constants;

/** Tokens for what readJobserver() has found, or {reason}. */
export function openTokens({ path, readFd, writeFd }) {
  try {
    if (path !== undefined) {
      if (!fs.statSync(path).isFIFO()) return { reason: "not-a-pipe" };
      const fd = fs.openSync(path, O_RDWR | O_NONBLOCK);
      return new Tokens(fd, fd);
    }
    const [reader, writer] = [fs.fstatSync(readFd), fs.fstatSync(writeFd)];
    if (!inherited(reader) || !inherited(writer)) return { reason: "cannot-open" };
    if (!reader.isFIFO() || !writer.isFIFO()) return { reason: "not-a-pipe" };
    const read = fs.openSync(`/proc/self/fd/${readFd}`, O_RDONLY | O_NONBLOCK);
    try {
      return new Tokens(read, fs.openSync(`/proc/self/fd/${writeFd}`, O_WRONLY | O_NONBLOCK));
    } catch (error) {
      fs.closeSync(read);
      throw error;
    }
  } catch {
    return { reason: "cannot-open" };
  }
}

// A make that does not take a command for one of its own names descriptors in MAKEFLAGS that it
// does not hand down. Node has then put pipes of its own under these low numbers (libuv's for
// signals), and a byte read there stops it. What the parent has open, too, is no pipe of ours.
// Without /proc nobody can tell: no descriptors then.
function inherited({ dev, ino }) {
  const folder = `/proc/${process.ppid}/fd`;
  return fs.readdirSync(folder).some((name) => {
    try {
      const other = fs.statSync(`${folder}/${name}`);
      return other.dev === dev && other.ino === ino;
    } catch {
      return false; // closed meanwhile
    }
  });
}

class Tokens {
  #read;
  #write;
  #socket;
  #byte = Buffer.alloc(1);
  #spare = []; // read by the socket, not yet given to anybody
  #wake = () => {};

  constructor(read, write) {
    this.#read = read;
    this.#write = write;
    // fs.read would tie up a thread of libuv's pool with an end that nobody can call off, and a
    // timer would be late or busy. A socket with a buffer of one byte, paused after each, waits in
    // epoll and reads one byte at a time.
    const callback = () => {
      this.#socket.pause();
      this.#spare.push(this.#byte[0]);
      this.#wake();
      return true;
    };
    this.#socket = new net.Socket({
      fd: read,
      writable: false,
      onread: { buffer: this.#byte, callback },
    });
    this.#socket
      .on("error", () => {})
      .pause()
      .unref();
  }

  /**
   * From `least` to `most` tokens (numbers from 0 to 255) without waiting, or undefined and none is
   * taken.
   */
  take(least, most) {
    const taken = [];
    while (taken.length < most) {
      const token = this.#spare.pop() ?? this.#readOne();
      if (token === undefined) break;
      taken.push(token);
    }
    if (taken.length >= least) return taken;
    // Whoever holds some while it waits for more could wait for one that does the same.
    this.giveBack(taken);
    return undefined;
  }

  giveBack(tokens) {
    for (const token of tokens.splice(0)) {
      try {
        fs.writeSync(this.#write, Buffer.of(token));
      } catch {
        // Nobody is left to whom it could matter.
      }
    }
  }

  /**
   * Calls `wake` as soon as there may be a token to take; once. What is not taken then is to be put
   * away.
   */
  listen(wake) {
    this.#wake = wake;
    this.#socket.resume();
  }

  putAway() {
    this.#socket.pause();
    this.giveBack(this.#spare);
  }

  close() {
    this.putAway();
    if (this.#write !== this.#read) fs.closeSync(this.#write);
    this.#socket.destroy();
  }

  #readOne() {
    const byte = Buffer.alloc(1);
    try {
      return fs.readSync(this.#read, byte, 0, 1, null) === 1 ? byte[0] : undefined;
    } catch {
      return undefined; // EAGAIN: none now
    }
  }
}
