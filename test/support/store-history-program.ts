// A program that takes an embedded store through its history (store-history.ts), to be traced and killed at any write.
//
// `store-history-program.js DIRECTORY STATES`: says `try N` before step N, and `ack N` after it; synchronously, so that
// nothing said is ever lost. Step 0 opens the store. What can be seen of the store after each step goes to the file
// STATES, a line of JSON each.

import { appendFileSync, writeSync } from 'node:fs';
import { openEmbeddedStore } from '@leasehold/server/adapters/embedded/embedded-store';
import type { Position, Store } from '@leasehold/server/ports/store';
import { FixedEntropy } from '../fakes/fixed-entropy.js';
import { VirtualClock } from '../fakes/virtual-clock.js';
import { type SeenState, STORE_HISTORY, stateOf } from './store-history.js';

const say = (line: string) => writeSync(1, `${line}\n`);

async function main(directory: string, states: string): Promise<void> {
  const clock = new VirtualClock();
  const broken = (error: unknown) => {
    say(`fatal ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  };
  const open = async () => {
    const entropy = new FixedEntropy();
    return openEmbeddedStore(directory, { clock, entropy, onFatal: broken, onDefect: broken });
  };
  const positions: Position[] = [];
  const acknowledged = async (n: number, now: Store) => {
    say(`ack ${n}`);
    const epoch = now.holder.kind === 'exclusive' ? now.holder.epoch : 0;
    const after = [positions.at(0), positions.at(-2)].filter((position) => position !== undefined);
    const seen: SeenState = { epoch, after, state: await stateOf(now, after) };
    appendFileSync(states, `${JSON.stringify(seen)}\n`);
    const snapshot = await now.snapshot();
    await snapshot.close();
    positions.push(snapshot.position);
    return snapshot.position;
  };
  say('try 0');
  let store = await open();
  const beginning = await acknowledged(0, store);
  for (const [i, { run }] of STORE_HISTORY.entries()) {
    say(`try ${i + 1}`);
    await run({
      store,
      clock,
      beginning,
      async reopen() {
        await store.close();
        store = await open();
      },
    });
    await acknowledged(i + 1, store);
  }
  await store.close();
  say('done');
}

const [directory = '', states = ''] = process.argv.slice(2);
await main(directory, states);
