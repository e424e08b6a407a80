// Lines of the protocol from messages and messages from lines. Pure.

export const NOTICES = ["event", "revoke", "recall"];
export const MAX_LINE = 65536; // bytes, with the newline
const MAX_DEPTH = 16;

/** The bytes from the arbiter are none of its messages: the connection is of no use any more. */
export class BadAnswer extends Error {}

// An unpaired surrogate is no UTF-8: the arbiter could not even tell which request had it.
const wellFormed = (_, value) =>
  typeof value === "string" ? Buffer.from(value).toString() : value;

/** One line with its newline. A request without `id` is a notification. */
export function encode(method, params, id) {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params }, wellFormed) + "\n";
}

const whole = (value) => Number.isSafeInteger(value) && value >= 0;
const text = (value) => typeof value === "string";
const truth = (value) => typeof value === "boolean";
const object = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const MEMBERS = {
  session: whole,
  protocol: whole,
  lease: whole,
  slots: whole,
  paid: whole,
  deadline_ms: whole,
  server: text,
  epoch: text,
  reason: text,
  watched: truth,
  cancelled: truth,
  resumed: (value) => Array.isArray(value) && value.every(whole),
};

function deeper(value, left) {
  if (typeof value !== "object" || value === null) return false;
  return left === 0 || Object.values(value).some((inner) => deeper(inner, left - 1));
}

function members(value) {
  if (!object(value)) throw new BadAnswer("the arbiter's message has no object in it");
  for (const [name, right] of Object.entries(MEMBERS)) {
    if (Object.hasOwn(value, name) && !right(value[name])) {
      throw new BadAnswer(`the arbiter's message has a wrong '${name}'`);
    }
  }
  return value;
}

/**
 * A message of the arbiter from the bytes of a line: {kind: "result", id, result}, {kind: "error",
 * id, code, message} or {kind: "notification", method, params}; undefined for an empty line. Throws
 * BadAnswer.
 */
export function decode(line) {
  let message;
  try {
    const string = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line);
    if (/^\r?$/.test(string)) return undefined;
    message = JSON.parse(string);
  } catch {
    throw new BadAnswer("the arbiter sent a line that is no JSON in UTF-8");
  }
  if (!object(message) || message.jsonrpc !== "2.0" || deeper(message, MAX_DEPTH)) {
    throw new BadAnswer("the arbiter sent a line that is no JSON-RPC 2.0 message");
  }
  const { id, method, params = {}, result, error } = message;
  if (Object.hasOwn(message, "method")) {
    if (!text(method)) throw new BadAnswer("the arbiter sent a notification without a name");
    if (!object(params)) throw new BadAnswer("the arbiter sent a notification with wrong params");
    return {
      kind: "notification",
      method,
      params: NOTICES.includes(method) ? members(params) : params,
    };
  }
  if (Object.hasOwn(message, "result") === Object.hasOwn(message, "error")) {
    throw new BadAnswer("the arbiter sent neither or both of a result and an error");
  }
  if (!whole(id) && !text(id) && !(id === null && error)) {
    throw new BadAnswer("the arbiter sent an answer without the id of a request");
  }
  if (result !== undefined) return { kind: "result", id, result: members(result) };
  if (!object(error) || !Number.isSafeInteger(error.code)) {
    throw new BadAnswer("the arbiter sent an error without a code");
  }
  return { kind: "error", id, code: error.code, message: String(error.message ?? "") };
}

/** Cuts what arrives into lines. */
export class Lines {
  #rest = Buffer.alloc(0);

  /** Yields each line, without its newline, that `bytes` completes. Throws BadAnswer. */
  *push(bytes) {
    this.#rest = this.#rest.length ? Buffer.concat([this.#rest, bytes]) : Buffer.from(bytes);
    for (;;) {
      const end = this.#rest.indexOf(10);
      if ((end < 0 ? this.#rest.length : end) >= MAX_LINE) {
        throw new BadAnswer(`the arbiter sent a line of more than ${MAX_LINE} bytes`);
      }
      if (end < 0) return;
      const line = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end + 1);
      yield line;
    }
  }
}
