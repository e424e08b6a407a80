import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Core } from "../src/core.js";
import { BadAnswer, Lines, MAX_LINE, decode, encode } from "../src/wire.js";
import { COOKIE, HELLO } from "../test-support/fake-arbiter.js";

const HEAD = '{"jsonrpc":"2.0","id":1,"result":';
const MAKE = {
  long: ({ bytes }) => `${HEAD}{"pad":"${"x".repeat(bytes - HEAD.length - 12)}"}}`,
  nest: ({ depth }) => `${HEAD}{"x":${"[".repeat(depth - 2)}${"]".repeat(depth - 2)}}}`,
  open: ({ depth }) => "[".repeat(depth),
};

function vectors(file) {
  return JSON.parse(
    readFileSync(new URL(`../../../tests/vectors/${file}`, import.meta.url), "utf8"),
  );
}

function bytesOf({ line, line_hex: hex, make }) {
  if (make) return Buffer.from(MAKE[make.kind](make));
  return hex === undefined ? Buffer.from(line) : Buffer.from(hex, "hex");
}

for (const vector of vectors("requests.json").filter((vector) => !vector.server_only)) {
  test(`request: ${vector.name}`, () => {
    const line = encode(vector.method, vector.params, vector.id ?? undefined);
    assert.ok(line.endsWith("\n") && !line.slice(0, -1).includes("\n"));
    assert.deepEqual(
      { params: {}, ...JSON.parse(line) },
      { params: {}, ...JSON.parse(vector.line) },
    );
  });
}

for (const { name, line, ...expected } of vectors("answers.json")) {
  test(`answer: ${name}`, () => assert.deepEqual(decode(Buffer.from(line)), expected));
}

for (const vector of vectors("bad_answers.json")) {
  test(`bad answer: ${vector.name}`, () => {
    const core = new Core(COOKIE, {}, { up() {}, notice() {} });
    let answers = 0;
    core.opened();
    core.receive(Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 0, result: HELLO }) + "\n"), 0);
    const call = core.acquire({}, Infinity, 0, () => answers++);
    assert.equal(call.id, 1);
    const broken = core.receive(Buffer.concat([bytesOf(vector), Buffer.from("\n")]), 0);
    assert.equal(broken === undefined, vector.ignore === true, broken);
    assert.equal(answers, 0);
    assert.ok(core.busy);
  });
}

test("lines come as they are completed, however they are cut", () => {
  const lines = new Lines();
  const got = [];
  for (const byte of Buffer.from("ab\n\ncd\nrest")) got.push(...lines.push(Buffer.of(byte)));
  assert.deepEqual(got.map(String), ["ab", "", "cd"]);
  assert.deepEqual([...lines.push(Buffer.from("!\nx\ny"))].map(String), ["rest!", "x"]);
});

test("a line may have 65536 bytes with its newline, not one more", () => {
  const longest = Buffer.alloc(MAX_LINE, "x");
  longest[MAX_LINE - 1] = 10;
  assert.equal([...new Lines().push(longest)][0].length, MAX_LINE - 1);
  assert.throws(() => [...new Lines().push(Buffer.alloc(MAX_LINE, "x"))], BadAnswer);
});

test("half of a surrogate pair is not sent", () => {
  assert.equal(JSON.parse(encode("acquire", { target: "a\ud800b" }, 1)).params.target, "a\ufffdb");
});
