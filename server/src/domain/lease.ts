// Who leads among the servers of one store (protocol.md §5). Each looks at the holder's record, on its own monotonic
// clock; nothing here trusts anybody else's.
//
//   L1. A challenger takes the lead only from a record that did not change for CHALLENGE_MS while it looked.
//   L2. A holder acts only until ACT_MS after it *sent* its last renewal that was confirmed: a second before anybody may
//       have taken the lead from it.

const CHALLENGE_MS = 5_000;
/** For how long a holder acts after the send of its last confirmed renewal. */
export const ACT_MS = 4_000;
// Of beats that come and are looked for every second two can be seen this far apart.
const OVERDUE_MS = 2_500;

/** What of the holder's record tells one renewal from the next. */
export interface LeaseRecord {
  /** Which start of a server; empty: it gave the lead up. */
  readonly instance: string;
  readonly epoch: number;
  readonly beat: number;
}

/** What a server knows of the lead. */
export type LeaseState<Record extends LeaseRecord> =
  /** Another one has it, or nobody: since `sinceMs` the record has been as it is. */
  | { readonly kind: 'following'; readonly seen: Record | undefined; readonly sinceMs: number }
  /** This one has it. */
  | { readonly kind: 'leading'; readonly record: Record; readonly confirmedMs: number };

/** What a server knows before it looked. */
export function beginLease<Record extends LeaseRecord>(nowMs: number): LeaseState<Record> {
  return { kind: 'following', seen: undefined, sinceMs: nowMs };
}

/** Takes in the record as it was found, by a read or a write that was sent at `sentMs`. */
export function sawRecord<Record extends LeaseRecord>(
  state: LeaseState<Record>,
  instance: string,
  record: Record | undefined,
  sentMs: number,
  nowMs: number,
): LeaseState<Record> {
  if (record?.instance === instance) {
    // A renewal that was sent before, and is answered after, another one says nothing new.
    const isLate = state.kind === 'leading' && state.record.epoch === record.epoch && sentMs < state.confirmedMs;
    return isLate ? state : { kind: 'leading', record, confirmedMs: sentMs };
  }
  const isSame = state.kind === 'following' && state.seen?.epoch === record?.epoch && state.seen?.beat === record?.beat;
  return { kind: 'following', seen: record, sinceMs: isSame ? state.sinceMs : nowMs };
}

/** Whether this server may try to take the lead. */
export function mayTake(state: LeaseState<LeaseRecord>, nowMs: number): boolean {
  if (state.kind === 'leading') return false;
  return state.seen === undefined || state.seen.instance === '' || nowMs - state.sinceMs >= CHALLENGE_MS;
}

/** Whether another server than the one in the record may lead soon; `lookedMs`: when the record was read last. */
export function isChanging(state: LeaseState<LeaseRecord>, lookedMs: number, nowMs: number): boolean {
  if (state.kind === 'leading' || isBlind(state, lookedMs, nowMs)) return false;
  return state.seen === undefined || state.seen.instance === '' || nowMs - state.sinceMs >= OVERDUE_MS;
}

/** Whether this server follows, and cannot read the record: of the beat it knows nothing, nor of who leads by now. */
export function isBlind({ kind }: LeaseState<LeaseRecord>, lookedMs: number, nowMs: number): boolean {
  return kind === 'following' && nowMs - lookedMs >= OVERDUE_MS;
}

/** The epoch under which this server may act now; undefined: it may not. */
export function actingEpoch(state: LeaseState<LeaseRecord>, nowMs: number): number | undefined {
  return state.kind === 'leading' && nowMs - state.confirmedMs < ACT_MS ? state.record.epoch : undefined;
}
