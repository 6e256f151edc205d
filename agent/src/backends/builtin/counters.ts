// What a server of the builtin backend did, as plain numbers that only grow.

import type { LogFields } from '@leasehold/program/log';
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

/** What was counted between two moments, in short words for the log, without zeroes; undefined: nothing. */
export function countedSince(before: Counters, now: Counters): LogFields | undefined {
  const answers = {
    offers: now.answered.offer - before.answered.offer,
    acks: now.answered.ack - before.answered.ack,
    naks: now.answered.nak - before.answered.nak,
    cut: now.cut - before.cut,
  };
  const [silent, lost] = [grown(before.silent, now.silent), grown(before.lost, now.lost)];
  const counted = { ...grown({}, answers), ...(silent && { silent }), ...(lost && { lost }) };
  return Object.keys(counted).length > 0 ? counted : undefined;
}

function grown(
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> | undefined {
  const differences = Object.entries(now).map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  const changed = differences.filter(([, difference]) => difference > 0);
  return changed.length > 0 ? Object.fromEntries(changed) : undefined;
}

function zeroes<K extends string>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
}
