// Calls in bulk, all statuses checked. By bare HTTP/2 from a process of its own, because a grpc-js client is slower than
// the server it would measure.

import { TaskProgram } from './child.js';

/** What is called. */
export type Calls =
  | {
      /** ReserveAddress, every call another MAC. */
      readonly kind: 'reserve';
      readonly subnetId: string;
      /** Number of the first MAC; see `macOf`. */
      readonly firstMac: number;
    }
  | {
      /** AcquireIP of go-ipam. */
      readonly kind: 'acquire';
      readonly cidr: string;
    };

/** What to send. */
export interface Load {
  /** `HOST:PORT` each; calls are spread over them evenly. */
  readonly endpoints: readonly string[];
  readonly calls: Calls;
  readonly count: number;
  /** Calls under way at once. */
  readonly outstanding: number;
  /** Whose processor time is watched. */
  readonly serverPids: readonly number[];
}

/** How it went. Every call was answered OK, or there is no result. */
export interface LoadResult {
  readonly seconds: number;
  /** Of the servers' processor time. */
  readonly serverCpuSeconds: number;
  /** Of the generator's own processor time: as many as `seconds` means that it, not the server, was the limit. */
  readonly generatorCpuSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

/** Sends loads. */
export type Generator = TaskProgram<Load, LoadResult>;

/** Starts a generator. */
export function startGenerator(): Generator {
  return new TaskProgram<Load, LoadResult>('load-program');
}

/** The MAC of a number below 2^32. */
export function macOf(n: number): string {
  const hex = n.toString(16).padStart(8, '0');
  return `02:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6)}`;
}
