// What a server that does not lead says of what it does not know.

import type { HolderLease } from '../ports/holder-lease.js';

/** Who knows it: only the server that leads hears hosts. */
export function knownElsewhere({ holder }: Pick<HolderLease, 'holder'>): string {
  const who = holder ? `the server that leads, ${holder.server}` : 'the server that leads, and none does now';
  return `Known only to ${who}`;
}
