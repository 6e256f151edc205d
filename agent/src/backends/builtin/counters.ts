// What a server of the builtin backend did, as plain numbers that only grow.

import { REPLY_TYPES, type ReplyType, SILENCE_REASONS, type SilenceReason } from '../../domain/responder.js';

/** Why a reply that was decided on was not sent. */
export const LOSS_REASONS = ['too-many-delayed', 'send-failed'] as const;

/** A reason why a reply was not sent. */
export type LossReason = (typeof LOSS_REASONS)[number];

/** Counters of one network. */
export interface Counters {
  readonly answered: Record<ReplyType, number>;
  readonly silent: Record<SilenceReason, number>;
  readonly lost: Record<LossReason, number>;
  /** Replies that some asked-for option did not fit into. */
  cut: number;
}

/** Counters at zero. */
export function newCounters(): Counters {
  return { answered: zeroes(REPLY_TYPES), silent: zeroes(SILENCE_REASONS), lost: zeroes(LOSS_REASONS), cut: 0 };
}

function zeroes<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}
