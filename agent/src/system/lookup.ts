// The addresses of host names, as the system resolves them.

import { lookup as resolve } from 'node:dns/promises';

/** All addresses of a name, in the system's order; rejects when there are none. */
export async function lookup(name: string): Promise<readonly string[]> {
  return (await resolve(name, { all: true })).map(({ address }) => address);
}
