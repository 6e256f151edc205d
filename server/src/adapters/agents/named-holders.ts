// To which hosts a follower named the holder, by its beat: one that comes again before the next beat did not find it there.
//
//   D1. Nothing is kept beyond a beat, nor of more hosts than any installation has.

import type { HostId } from '../../domain/ids.js';
import type { HolderRecord } from '../../ports/store.js';

const MAX_HOSTS = 20_000;

/** What tells one beat from every other. */
export type Beat = Pick<HolderRecord, 'epoch' | 'beat'>;

/** See the top of the file. */
export class NamedHolders {
  #of: Beat | undefined;
  readonly #hosts = new Set<HostId>();

  /** The holder is named to a host. */
  named(hostId: HostId, holder: Beat): void {
    if (!isSame(this.#of, holder) || this.#hosts.size >= MAX_HOSTS) this.#hosts.clear();
    this.#of = holder;
    this.#hosts.add(hostId);
  }

  /** Whether it was named to the host, and gave no beat since. */
  wasNamed(hostId: HostId, holder: Beat): boolean {
    return isSame(this.#of, holder) && this.#hosts.has(hostId);
  }
}

function isSame(a: Beat | undefined, b: Beat): boolean {
  return a?.epoch === b.epoch && a.beat === b.beat;
}
