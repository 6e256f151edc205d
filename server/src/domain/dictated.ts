// Which of what an agent was told in its session it may be going by. Paces change while sessions live, and what is told
// takes a while to arrive.
//
//   T1. Whatever the agent goes by is among the paces kept here: it goes by the last it received, messages arrive in
//       their order, and a pace is dropped only once the agent said that it has a later one.
//   T2. So a host is judged by the longest of them: a longer interval counts from the moment it is told, a shorter one
//       not before the agent must be keeping to it. An agent says what it has in its heartbeats, and waits for the next
//       one by just that (or by a later pace, which is kept, too): no heartbeat is missed before it can be late.
//   T3. An agent that says nothing of it, because it is older, is judged by the longest it was ever told in the session.

import type { Pace } from './pace.js';

interface Told extends Pace {
  /** Of the heartbeat with whose acknowledgement it was told; 0: the welcome. */
  readonly sequence: bigint;
}

/** The paces an agent may be going by, in the order in which they were told; at least one. */
export type Dictated = readonly [Told, ...Told[]];

// An agent that never says what it has makes no list without end: the two oldest count as one, the slower of both.
const MAX_TOLD = 16;

/** What the welcome tells. */
export function welcomed(pace: Pace): Dictated {
  return [{ ...pace, sequence: 0n }];
}

/** The acknowledgement of heartbeat `sequence` tells `pace`. */
export function told(dictated: Dictated, pace: Pace, sequence: bigint): Dictated {
  const last = dictated.at(-1) ?? dictated[0];
  // Agents do not take up what an acknowledgement says that was overtaken.
  const isOvertaken = sequence < last.sequence;
  if (isOvertaken || (last.intervalMs === pace.intervalMs && last.spreadMs === pace.spreadMs)) return dictated;
  const [first, second, ...others] = dictated;
  if (second === undefined || dictated.length < MAX_TOLD) return [...dictated, { ...pace, sequence }];
  return [{ ...slowest([first, second]), sequence: second.sequence }, ...others, { ...pace, sequence }];
}

/** The agent said that it has the acknowledgement of heartbeat `sequence`. */
export function knows(dictated: Dictated, sequence: bigint): Dictated {
  const has = dictated.findLastIndex((each) => each.sequence <= sequence);
  const [first, ...others] = dictated.slice(Math.max(0, has));
  return has <= 0 || first === undefined ? dictated : [first, ...others];
}

/** The slowest that the agent may be going by. */
export function slowest(dictated: Dictated): Pace {
  // Nearly always: asked of every host by every run of the manager.
  if (dictated.length === 1) return dictated[0];
  return {
    intervalMs: Math.max(...dictated.map(({ intervalMs }) => intervalMs)),
    spreadMs: Math.max(...dictated.map(({ spreadMs }) => spreadMs)),
  };
}
