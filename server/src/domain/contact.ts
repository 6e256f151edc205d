// Whether a host and this server hear each other. That a host is heard says only that one way is whole; and hosts that were
// all cut off together come back one after another, so that the last of them looks like the only one.
//
//   C1. A heartbeat shows contact when it knows of an acknowledgement that none before it knew of. The first of a session
//       does, because the agent has the welcome.
//   C2. Longer than a living host takes between two of those is a gap. It counts after its end, too, for what fell silent
//       before that (brakes.ts). So does, for less long, the time before a host came first: it was not there to show what
//       befell the others.

/** What was seen of it since this server leads. */
export interface Contact {
  /** When the host showed last that it hears this server; before it first did, when it should have been there. */
  readonly shownMs: number;
  /** Whether it ever did. */
  readonly isShown: boolean;
  /** When a gap ended last; -Infinity: none did. */
  readonly mendedMs: number;
  /** When it first showed that it hears this server; -Infinity: it did not yet. */
  readonly firstMs: number;
  /** The highest acknowledgement that it knows of in its session; undefined: no heartbeat of it came yet. */
  readonly known: bigint | undefined;
}

// A living host takes at most 1.1 intervals between two heartbeats. Of one that misses a single one this sees 1.8 at least.
const GAP_INTERVALS = 1.25;

const NEVER = Number.NEGATIVE_INFINITY;

// Agents look for who leads every 5 s at most: who comes later than that after the first one could not come.
const LOOKING_MS = 5_000;

/** A session begins. `firstOfAllMs`: when the first of all hosts showed contact since this server leads. */
export function greeted(before: Contact | undefined, firstOfAllMs: number | undefined, nowMs: number): Contact {
  if (before) return { ...before, known: undefined };
  const shownMs = Math.min(nowMs, (firstOfAllMs ?? nowMs) + LOOKING_MS);
  return { shownMs, isShown: false, mendedMs: NEVER, firstMs: NEVER, known: undefined };
}

/** A heartbeat arrived of an agent that knows of the acknowledgement of heartbeat `acknowledged`. */
export function shown(before: Contact, acknowledged: bigint, intervalMs: number, nowMs: number): Contact {
  if (before.known !== undefined && acknowledged <= before.known) return before;
  const mendedMs = isGap(before, intervalMs, nowMs) ? nowMs : before.mendedMs;
  const firstMs = before.isShown ? before.firstMs : nowMs;
  return { shownMs: nowMs, isShown: true, mendedMs, firstMs, known: acknowledged };
}

/** Whether it is not known that the two hear each other. */
export function isOutOfContact(contact: Contact, intervalMs: number, nowMs: number): boolean {
  return !contact.isShown || isGap(contact, intervalMs, nowMs);
}

function isGap({ shownMs }: Contact, intervalMs: number, nowMs: number): boolean {
  return nowMs - shownMs > GAP_INTERVALS * intervalMs;
}
