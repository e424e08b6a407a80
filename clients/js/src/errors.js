// What can go wrong, with the numbers of tokenpool-protocol(7).

export const Code = Object.freeze({
  client: 0, // found here, not told by an arbiter
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  notAuthorized: -32001,
  unsupportedProtocol: -32002,
  unavailable: -32003,
  cancelled: -32004,
  impossible: -32005,
  noSuchLease: -32006,
  tooMany: -32007,
  draining: -32008,
});

export class TokenpoolError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = "TokenpoolError";
    this.code = code;
  }
}
