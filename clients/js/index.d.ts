import { EventEmitter } from "node:events";

/** Why the protocol is not spoken; "ok": it is. */
export type Reason =
  | "ok"
  | "no-address"
  | "bad-address"
  | "no-cookie"
  | "bad-cookie"
  | "unreachable"
  | "refused"
  | "incompatible"
  | "no-answer";

/** Why GNU make's jobserver is not used either. */
export type JobserverReason =
  "no-makeflags" | "no-jobserver" | "bad-jobserver" | "cannot-open" | "not-a-pipe" | "unsupported";

/**
 * The numbers of tokenpool-protocol(7), and `client` (0) for what this package has found by itself.
 */
export declare const Code: {
  readonly client: 0;
  readonly parseError: -32700;
  readonly invalidRequest: -32600;
  readonly methodNotFound: -32601;
  readonly invalidParams: -32602;
  readonly internalError: -32603;
  readonly notAuthorized: -32001;
  readonly unsupportedProtocol: -32002;
  readonly unavailable: -32003;
  readonly cancelled: -32004;
  readonly impossible: -32005;
  readonly noSuchLease: -32006;
  readonly tooMany: -32007;
  readonly draining: -32008;
};

export declare class TokenpoolError extends Error {
  /** One of Code, or one that a later arbiter has. */
  readonly code: number;
}

export interface ConnectOptions {
  /** Of the program, for people; cut after 64 bytes. The name of the script if missing. */
  name?: string;
  /** Instead of process.env. */
  env?: Readonly<Record<string, string | undefined>>;
}

/** A process; `start` (field 22 of /proc/PID/stat) is looked up if it is missing. */
export interface Owner {
  pid?: number;
  start?: number;
}

export interface AcquireOptions extends Owner {
  /** Slots, 1 to 512; 1 if missing. */
  min?: number;
  /** `min` if missing. */
  max?: number;
  /** Of the job: "link", for instance. */
  type?: string;
  /** What the job makes. */
  target?: string;
  /** Bytes that it is expected to need. */
  memory?: number;
  /** -100 to 100; higher comes first. */
  priority?: number;
  /** How long to wait; as long as it takes if missing. */
  timeoutMs?: number;
  /** Withdraws the request: it rejects with Code.cancelled and the signal's reason as `cause`. */
  signal?: AbortSignal;
}

export interface ReportOptions extends Owner {
  /** Bytes. */
  peakMemory?: number;
  cpuSeconds?: number;
  /** 0 to 255. */
  exit?: number;
}

export interface Limit {
  type: string;
  limit: number;
  used: number;
}

export interface StatusRow {
  session: number;
  name: string;
  pid: number;
  target: string;
  type: string;
  priority: number;
  age_ms: number;
  /** Of one that is held. */
  lease?: number;
  slots?: number;
  paid?: number;
  /** Of one that waits. */
  min?: number;
  max?: number;
}

/** The answer to `status`, as tokenpool-protocol(7) has it. */
export interface Status {
  server: string;
  epoch: string;
  pid: number;
  uptime_ms: number;
  paused: boolean;
  draining: boolean;
  slots: number;
  free: number;
  leased: number;
  tokens: number;
  limits: Limit[];
  leases: StatusRow[];
  waiting: StatusRow[];
  leases_total: number;
  waiting_total: number;
  sessions: number;
  counters: Record<string, number>;
  recoveries: Array<{
    lease: number;
    slots: number;
    name: string;
    pid: number;
    target: string;
    cause: string;
    ago_ms: number;
  }>;
  frozen?: number;
  uncooperative?: Array<{
    pid: number;
    command: string;
    millicores: number;
    since_ms: number;
  }>;
}

export interface PoolSettings {
  slots: number;
  limits: Limit[];
  paused: boolean;
}

export interface PoolEvent {
  kind: string;
  free?: number;
  lease?: number;
  session?: number;
  name?: string;
  target?: string;
  type?: string;
  slots?: number;
  /** Events that were dropped before this one. */
  lost?: number;
}

export interface PoolEvents {
  /** Give back down to `slots` when you can. The lease is missing if it has ended meanwhile. */
  recall: [params: { lease: number; slots: number }, lease: Lease | undefined];
  /** End the job, release the lease and ask again later. */
  revoke: [
    params: { lease: number; reason: string; deadline_ms: number },
    lease: Lease | undefined,
  ];
  /** After subscribe(). */
  event: [params: PoolEvent];
  /** The connection is back and the leases are declared. */
  connected: [];
  disconnected: [];
  /** The arbiter did not take over this lease when the connection was back; it has no slots now. */
  lost: [lease: Lease];
}

/**
 * Slots that are held. It ends with release(), with the pool, or with the process that it was
 * handed to.
 */
export declare class Lease implements AsyncDisposable {
  private constructor();
  /** 0 where no arbiter has granted it. May change when a connection is lost and resumed. */
  readonly id: number;
  /** 0 when it has ended. */
  readonly slots: number;
  /** Whether the arbiter watches the process that it was handed to. */
  readonly watched: boolean;
  /**
   * Gives back so many, all if missing. Resolves to what is left; to 0 also if it has ended before.
   */
  release(slots?: number): Promise<number>;
  /**
   * Without waiting; resolves to the slots now. Rejects with Code.unavailable if not even `min` can
   * be had.
   */
  resize(min: number, max?: number): Promise<number>;
  /** What the job has cost; with `pid`, the lease belongs to that process from now on. */
  report(options: ReportOptions): Promise<{ watched?: boolean }>;
  /**
   * The lease ends with that process, even if this one ends before. Resolves to whether it is
   * watched.
   */
  handTo(pid: number): Promise<boolean>;
  [Symbol.asyncDispose](): Promise<void>;
}

export declare class Pool extends EventEmitter {
  private constructor();
  readonly mode: "protocol" | "jobserver" | "single";
  /** Why it is in this mode. */
  readonly reason: Reason;
  /** In mode single. */
  readonly jobserverReason: JobserverReason | undefined;
  /** Of the whole pool as far as known; 1 in mode single. */
  readonly slots: number;
  /** Whether there is a session with an arbiter now. */
  readonly connected: boolean;
  /** What is held. */
  readonly leases: Lease[];

  /** Waits for its turn. Rejects with a TokenpoolError. */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /**
   * Asks to withdraw what acquire() has returned. true: it rejects with Code.cancelled; false: it
   * has been granted or refused, or the answer is on its way. (A signal withdraws it at once; what
   * is granted all the same goes back.)
   */
  cancel(lease: Promise<Lease>): Promise<boolean>;
  /** Without waiting; null: not to be had now. */
  tryAcquire(options?: Omit<AcquireOptions, "timeoutMs">): Promise<Lease | null>;
  /** Acquires, runs, and releases whatever happens. */
  with<T>(options: AcquireOptions, run: (lease: Lease) => T | Promise<T>): Promise<T>;
  status(): Promise<Status>;
  set(changes: {
    slots?: number;
    limits?: Record<string, number | null>;
    paused?: boolean;
  }): Promise<PoolSettings>;
  /** From now on there are "event"s, also after the connection was lost. */
  subscribe(): Promise<void>;
  /**
   * What waits is rejected; what is held is given back, except what was handed to another process.
   */
  close(): Promise<void>;

  on<E extends keyof PoolEvents>(event: E, listener: (...words: PoolEvents[E]) => void): this;
  once<E extends keyof PoolEvents>(event: E, listener: (...words: PoolEvents[E]) => void): this;
  off<E extends keyof PoolEvents>(event: E, listener: (...words: PoolEvents[E]) => void): this;
}

/** Never rejects: pool.mode tells what was found, and pool.reason why. */
export declare function connect(options?: ConnectOptions): Promise<Pool>;
