// When a quarantined address may go to another MAC.
//
// The rule of this release: `reuse_delay` and one lease time after this server saw the release, on its own monotonic
// clock; a restart begins the wait anew. The lease time is added also when the engine vouched that the guest is stopped,
// because hosts that may still answer are not waited for yet (protocol.md §4, docs/adr/0007).

/** What of a released slot decides how long it rests. */
export interface Rest {
  /** When this server first saw the release, on its monotonic clock. */
  readonly seenMs: number;
  readonly reuseDelayS: number;
  readonly leaseTimeCeilingS: number;
}

/** When the address may go to another MAC, on this server's monotonic clock. */
export function reusableAtMs({ seenMs, reuseDelayS, leaseTimeCeilingS }: Rest): number {
  return seenMs + (reuseDelayS + leaseTimeCeilingS) * 1_000;
}
