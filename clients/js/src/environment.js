// What the environment says: where an arbiter is, which jobserver make has, who this process is.

import { readFileSync } from "node:fs";
import { isIP } from "node:net";

const MAX_UNIX_PATH = 107; // bytes that sockaddr_un has room for on Linux

function address(text) {
  if (text.startsWith("unix:/") && Buffer.byteLength(text) - 5 <= MAX_UNIX_PATH)
    return { path: text.slice(5) };
  const found = /^tcp:(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!found) return undefined;
  const [, six, four, port] = found;
  const right = six !== undefined ? isIP(six) === 6 : isIP(four) === 4 || four === "localhost";
  if (!right || port < 1 || port > 65535) return undefined;
  // localhost may be ::1 or 127.0.0.1.
  return { host: six ?? four, port: Number(port), autoSelectFamily: true };
}

/** {addresses, cookie}, or {reason}: why our protocol cannot be spoken. */
export function readArbiter(env) {
  const texts = (env.TOKENPOOL_ADDR ?? "").split(";").filter(Boolean);
  if (!texts.length) return { reason: "no-address" };
  const addresses = texts.map(address).filter(Boolean);
  if (!addresses.length) return { reason: "bad-address" };
  const cookie = env.TOKENPOOL_COOKIE;
  if (!cookie) return { reason: "no-cookie" };
  if (!/^[0-9a-f]{64}$/i.test(cookie)) return { reason: "bad-cookie" };
  return { addresses, cookie };
}

/** The number of TOKENPOOL_LEASE, or undefined. */
export function readLease(env) {
  const lease = /^\d{1,16}$/.test(env.TOKENPOOL_LEASE ?? "") ? Number(env.TOKENPOOL_LEASE) : 0;
  return lease > 0 && Number.isSafeInteger(lease) ? lease : undefined;
}

/**
 * The jobserver of MAKEFLAGS: {slots, path} or {slots, readFd, writeFd}, where slots is 1 if it is
 * not told; or {reason}. What comes after the word `--` are variables of make.
 */
export function readJobserver(env) {
  if (env.MAKEFLAGS === undefined) return { reason: "no-makeflags" };
  let words = env.MAKEFLAGS.split(/[ \t]+/).filter(Boolean);
  if (words.includes("--")) words = words.slice(0, words.indexOf("--"));
  const last = (pattern) =>
    words
      .map((word) => pattern.exec(word)?.[1])
      .filter((v) => v !== undefined)
      .pop();
  const value = last(/^--jobserver-auth=(.*)$/) ?? last(/^--jobserver-fds=(.*)$/);
  if (value === undefined) return { reason: "no-jobserver" };
  const slots = Math.max(1, Number(last(/^-j(\d{1,4})$/) ?? 1));
  if (value.startsWith("fifo:")) {
    return value.length > 5 ? { slots, path: value.slice(5) } : { reason: "bad-jobserver" };
  }
  const pair = /^(-?\d{1,9}),(-?\d{1,9})$/.exec(value);
  if (pair) {
    const [readFd, writeFd] = [Number(pair[1]), Number(pair[2])];
    return readFd < 0 || writeFd < 0 ? { reason: "no-jobserver" } : { slots, readFd, writeFd };
  }
  return { reason: /^[\w.-]+$/.test(value) ? "unsupported" : "bad-jobserver" };
}

/**
 * When process `pid` (or "self") began, as the kernel counts it; undefined where there is no /proc.
 */
export function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field, a name, may hold anything; what follows its ')' begins with the third.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return undefined;
  }
}
