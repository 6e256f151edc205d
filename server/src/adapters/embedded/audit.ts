// The audit events of an embedded store, newest first. Changes of settings are few: whatever is asked for is found by
// looking at all of them in their order.

import { setImmediate } from 'node:timers/promises';
import type { AuditEvent, AuditKey } from '../../domain/audit.js';
import type { AuditFilter, AuditPage, AuditStore } from '../../ports/store.js';
import type { GroupCommit } from './group-commit.js';
import { auditedBefore, auditKey, type Key, keyAfter } from './keys.js';
import type { Tables } from './tables.js';

const LOOKED_AT = 20_000;
const LOOKED_AT_ONCE = 500;

/** Stages the event of a change, if it has one. */
export function putEvent({ audit }: Pick<Tables, 'audit'>, event: AuditEvent | undefined): void {
  if (event) audit.put(auditKey(event), JSON.stringify(event));
}

/** Serves the events. */
export function auditStore({ audit }: Tables, commit: GroupCommit): AuditStore {
  return {
    list: (filter, after, limit) => list({ audit }, commit, filter, after, limit),
    prune: (before, limit) =>
      commit.submit(() => {
        const keys = Array.from(audit.range(limit, auditedBefore(before)), ({ key }) => key);
        for (const key of keys) audit.remove(key);
        return keys.length;
      }),
  };
}

async function list(
  { audit }: Pick<Tables, 'audit'>,
  commit: GroupCommit,
  filter: AuditFilter,
  after: AuditKey | undefined,
  limit: number,
): Promise<AuditPage> {
  const found: AuditEvent[] = [];
  let last = after;
  for (let lookedAt = 0; lookedAt < LOOKED_AT; lookedAt += LOOKED_AT_ONCE) {
    commit.check();
    const events = Array.from(audit.range(LOOKED_AT_ONCE, startOf(filter, last)), ({ value }) => readEvent(value));
    for (const event of events) {
      last = event;
      if (filter.since !== undefined && event.time < filter.since) return { events: found, next: undefined };
      if (fits(event, filter)) found.push(event);
      if (found.length === limit) return { events: found, next: last };
    }
    if (events.length < LOOKED_AT_ONCE) return { events: found, next: undefined };
    await setImmediate();
  }
  return { events: found, next: last };
}

/** Reads an event. */
export function readEvent(text: string): AuditEvent {
  return JSON.parse(text) as AuditEvent;
}

function startOf({ until }: AuditFilter, after: AuditKey | undefined): Key | undefined {
  const first = until === undefined ? undefined : auditedBefore(until);
  const next = after && keyAfter(auditKey(after));
  return next !== undefined && (first === undefined || next > first) ? next : first;
}

function fits(event: AuditEvent, { networkId, kind, resourceId, caller, until }: AuditFilter): boolean {
  return (
    (until === undefined || event.time < until) &&
    (networkId === undefined || event.networkId === networkId) &&
    (kind === undefined || event.kind === kind) &&
    (resourceId === undefined || event.resourceId === resourceId) &&
    (caller === undefined || event.caller === caller)
  );
}
