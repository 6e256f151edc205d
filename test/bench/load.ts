// ReserveAddress in bulk: every call another MAC, all statuses checked. By bare HTTP/2 from a process of its own, because
// a grpc-js client is slower than the server it would measure.

import { runChild } from './child.js';

/** What to send. */
export interface Load {
  /** `HOST:PORT`. */
  readonly endpoint: string;
  readonly subnetId: string;
  /** Number of the first MAC; see `macOf`. */
  readonly firstMac: number;
  readonly count: number;
  /** Calls under way at once. */
  readonly outstanding: number;
  /** Whose processor time is watched. */
  readonly serverPid: number;
}

/** A tenth of the calls, in the order in which they ended. */
export interface Decile {
  readonly seconds: number;
  /** Of the server's processor time. */
  readonly serverCpuSeconds: number;
}

/** How it went. Every call was answered OK, or there is no result. */
export interface LoadResult {
  readonly seconds: number;
  readonly serverCpuSeconds: number;
  /** Of the generator's own processor time: as many as `seconds` means that it, not the server, was the limit. */
  readonly generatorCpuSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly deciles: readonly Decile[];
}

/** Runs a load to its end. */
export function runLoad(load: Load): Promise<LoadResult> {
  return runChild<LoadResult>('load-program', load);
}

/** The MAC of a number below 2^32. */
export function macOf(n: number): string {
  const hex = n.toString(16).padStart(8, '0');
  return `02:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6)}`;
}
