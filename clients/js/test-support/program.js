// A process of its own with a pool of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";

const INDEX = new URL("../src/index.js", import.meta.url).href;

/** The words that run `text`, which finds a pool in `pool`. */
export function words(text) {
  const source = `import { connect } from ${JSON.stringify(INDEX)};
    const pool = await connect();
    ${text}`;
  return [process.execPath, "--input-type=module", "-e", source];
}

/**
 * Runs `text` with `env` and, from 3 on, the descriptors `fds`. `meanwhile(child)` is awaited.
 * Returns what it printed, and its exit code.
 */
export async function program(env, text, { meanwhile = () => {}, fds = [] } = {}) {
  const [node, ...args] = words(text);
  const child = spawn(node, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit", ...fds],
  });
  let out = "";
  child.stdout.on("data", (bytes) => (out += bytes));
  const closed = once(child, "close");
  await meanwhile(child);
  const [code] = await closed;
  return { out, code };
}
