// What the embedded store acknowledged is there after any end of its process, after a loss of power and after a failing
// disk.

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '@leasehold/program/system-clock';
import { openEmbeddedStore } from '@leasehold/server/adapters/embedded/embedded-store';
import type { Slot } from '@leasehold/server/domain/slot';
import type { Store } from '@leasehold/server/ports/store';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collect } from '../conformance/documents.js';
import { FixedEntropy } from '../fakes/fixed-entropy.js';
import { VirtualClock } from '../fakes/virtual-clock.js';
import { WatchedProcess } from '../support/processes.js';
import { afterKill, afterPowerLoss, type DiskEvent, recordDisk } from '../support/recorded-disk.js';
import { repositoryRoot } from '../support/repository.js';
import { temporaryDirectory } from '../support/sandbox.js';
import { type SeenState, STORE_HISTORY, stateOf } from '../support/store-history.js';
import { addressOf, ROUND, requestOf, stepOf, tenureOf } from '../support/store-steps.js';
import { hasTool } from '../support/tools.js';

const WRITER = join(repositoryRoot, 'test/dist/support/store-writer.js');
const HISTORY = join(repositoryRoot, 'test/dist/support/store-history-program.js');
const ADDRESSES = 16;
const entropy = { random: Math.random, bytes: (length: number) => randomBytes(length) };

/** The last step tried and the last one acknowledged on each address; -1: none yet. */
class Progress {
  readonly tried = new Array<number>(ADDRESSES).fill(-1);
  readonly acknowledged = new Array<number>(ADDRESSES).fill(-1);

  read(lines: readonly { readonly text: string }[]): void {
    for (const { text } of lines) {
      const [what, n, step] = text.split(' ');
      if (what === 'try') this.tried[Number(n)] = Number(step);
      if (what === 'ack') this.acknowledged[Number(n)] = Number(step);
    }
  }
}

function openStore(path: string): Promise<Store> {
  const broken = (error: unknown) => {
    throw error;
  };
  return openEmbeddedStore(path, { clock: systemClock(), entropy, onFatal: broken, onDefect: broken });
}

/** Every address is as its last acknowledged step left it, or as the one that was under way would. */
async function expectNothingLost(store: Store, progress: Progress): Promise<void> {
  const slots = new Map<number, Slot>();
  const snapshot = await store.snapshot();
  for (const slot of (await collect(snapshot.slots())).flat()) slots.set(slot.address, slot);
  await snapshot.close();
  for (let n = 0; n < ADDRESSES; n++) {
    const acknowledged = progress.acknowledged[n] ?? -1;
    const tried = progress.tried[n] ?? -1;
    const { networkId, address } = addressOf(n);
    const slot = slots.get(address);
    // Without a slot, the last step was one that frees, or there was none.
    const found = slot ? stepOf(slot) : [acknowledged, tried].find((step) => step % ROUND === 2 || step === -1);
    expect([acknowledged, tried]).toContain(found);
    for (let step = 0; step + 2 <= acknowledged; step += ROUND) {
      expect(await store.history.get(tenureOf(n, step).reservationId)).toBeDefined();
    }
    expect(await store.slots.findByMac(networkId, tenureOf(n, 0).mac)).toEqual(slot ? [slot] : []);
    const requests = Array.from({ length: Math.floor((acknowledged + ROUND) / ROUND) }, (_, k) =>
      requestOf(n, k * ROUND),
    );
    for (const request of requests) expect(await store.slots.findByRequest(request)).toMatchObject({ request });
  }
}

describe('the embedded store', () => {
  test('has every acknowledged write after kill -9 at any moment', async () => {
    using temporary = temporaryDirectory('durability-');
    const path = join(temporary.path, 'store');
    const progress = new Progress();
    for (let round = 0; round < 8; round++) {
      await using writer = new WatchedProcess(process.execPath, [WRITER, path, String(ADDRESSES), '100000']);
      let left = 1 + Math.floor(Math.random() * 1_500);
      await writer.waitForLine(({ text }) => text.startsWith('ack') && --left <= 0);
      await writer.kill();
      progress.read(writer.lines);
      const store = await openStore(path);
      await expectNothingLost(store, progress);
      await store.close();
    }
    expect(Math.max(...progress.acknowledged)).toBeGreaterThan(ROUND);
  });

  test('cannot be opened twice, and can as soon as its process was killed', async () => {
    using temporary = temporaryDirectory('durability-');
    const path = join(temporary.path, 'store');
    const writer = new WatchedProcess(process.execPath, [WRITER, path, '1', '100000']);
    await writer.waitForLine('ack');
    await expect(openStore(path)).rejects.toThrow(`Another server uses ${path}`);
    await writer.kill();
    await (await openStore(path)).close();
  });
});

describe.skipIf(!(await hasTool('strace')))('the embedded store under strace', () => {
  async function traced(
    path: string,
    inject: readonly string[],
  ): Promise<{ output: string; trace: string[]; code: number }> {
    const file = join(path, 'trace');
    const trace = [
      '-f',
      '-y',
      '-o',
      file,
      '-e',
      'trace=pwrite64,pwritev,writev,fdatasync,fsync,msync,write',
      ...inject,
    ];
    const command = [...trace, process.execPath, WRITER, join(path, 'store'), '2', '60'];
    // One thread writes, so that the calls to fail can be counted.
    await using writer = new WatchedProcess('strace', command, { env: { UV_THREADPOOL_SIZE: '1' } });
    const code = await writer.exited;
    const output = writer.lines.map(({ text }) => text).join('\n');
    return { output, trace: readFileSync(file, 'utf8').split('\n'), code };
  }

  test('acknowledges nothing between a write and the end of its flush', async () => {
    using temporary = temporaryDirectory('durability-');
    // Slow flushes, so that an answer that does not wait for them comes before.
    const { trace, output } = await traced(temporary.path, ['-e', 'inject=fdatasync:delay_enter=2000']);
    expect(output).toContain('done');
    // LMDB writes pages, flushes them, then writes the meta page through a descriptor that is O_DSYNC.
    let unflushed = false;
    let flushes = 0;
    const early: string[] = [];
    for (const call of trace) {
      if (/write(64|v)\(.*data\.mdb/.test(call) && !call.includes(', 128, ')) unflushed = true;
      if (/(fdatasync|msync)(\(| resumed).* = 0( |$)/.test(call)) {
        unflushed = false;
        flushes++;
      }
      if (unflushed && call.includes('"ack')) early.push(call);
    }
    expect(early).toEqual([]);
    expect(flushes).toBeGreaterThan(60);
  });

  test.each([
    ['a flush that fails', 'fdatasync:error=EIO:when=15'],
    ['a write that fails', 'pwrite64:error=EIO:when=61'],
    ['a full disk', 'pwrite64:error=ENOSPC:when=70+'],
  ])('acknowledges nothing after %s, and has what it acknowledged before', async (_, inject) => {
    using temporary = temporaryDirectory('durability-');
    const { trace, output, code } = await traced(temporary.path, ['-e', `inject=${inject}`]);
    expect(code).not.toBe(0);
    const failed = trace.findIndex((call) => call.includes('INJECTED'));
    const acknowledged = (call: string) => call.includes('"ack');
    expect(trace.slice(0, failed).some(acknowledged)).toBe(true);
    expect(trace.slice(failed).some(acknowledged)).toBe(false);
    const progress = new Progress();
    progress.read(output.split('\n').map((text) => ({ text })));
    const store = await openStore(join(temporary.path, 'store'));
    await expectNothingLost(store, progress);
    await store.close();
  });
});

describe.skipIf(!(await hasTool('strace')))('of a history of every kind of write, the embedded store', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let events: readonly DiskEvent[];
  let states: readonly SeenState[];
  let copies = 0;

  beforeAll(async () => {
    directory = temporaryDirectory('durability-');
    const [store, seen] = [join(directory.path, 'store'), join(directory.path, 'states')];
    const command = [process.execPath, HISTORY, store, seen] as const;
    events = await recordDisk(command, join(store, 'data.mdb'), join(directory.path, 'trace'));
    states = readStates(seen);
    expect(states).toHaveLength(STORE_HISTORY.length + 1);
  });

  afterAll(() => directory[Symbol.dispose]());

  test('has what was acknowledged, and of the write under way all or nothing, after a kill at any write', async () => {
    expect(events.filter(({ kind }) => kind === 'write').length).toBeGreaterThan(3 * STORE_HISTORY.length);
    await expectAll((before) => [afterKill(before)]);
  });

  test('and after a loss of power at any write, whatever of the writes that were not flushed is kept', async () => {
    const random = seeded();
    await expectAll((before) => [
      afterPowerLoss(before, () => false),
      afterPowerLoss(before, () => random() < 0.5),
      afterPowerLoss(before, () => random() < 0.5),
    ]);
  });

  // What was recorded shows every write; these show that it is what a kill leaves.
  test.each(['pwrite64:signal=KILL:when=7', 'pwrite64:signal=KILL:when=60', 'fdatasync:signal=KILL:when=21'])(
    'and after %s',
    async (inject) => {
      using own = temporaryDirectory('durability-');
      const [store, seen] = [join(own.path, 'store'), join(own.path, 'states')];
      const trace = ['-f', '-o', join(own.path, 'trace'), '-e', 'trace=pwrite64,fdatasync', '-e', `inject=${inject}`];
      const command = [...trace, process.execPath, HISTORY, store, seen];
      await using killed = new WatchedProcess('strace', command, { env: { UV_THREADPOOL_SIZE: '1' } });
      expect(await killed.exited).toBe(137);
      await expectLeft(store, toldBy(killed.lines.map(({ text }) => text)));
    },
  );

  /** Looks at what every moment of the record may leave; moments that leave the same are one. */
  async function expectAll(imagesOf: (before: readonly DiskEvent[]) => readonly Buffer[]): Promise<void> {
    const seen = new Set<string>();
    for (let end = 1; end <= events.length; end++) {
      const before = events.slice(0, end);
      const told = toldBy(before.flatMap((event) => (event.kind === 'line' ? [event.text] : [])));
      for (const image of imagesOf(before)) {
        const moment = `${told.acknowledged} ${told.tried} ${createHash('sha256').update(image).digest('hex')}`;
        if (seen.has(moment)) continue;
        seen.add(moment);
        const path = join(directory.path, `copy-${copies++}`);
        mkdirSync(path);
        writeFileSync(join(path, 'data.mdb'), image);
        await expectLeft(path, told);
      }
    }
  }

  /** What is left is the state after the last acknowledged step, or after the one that was under way. */
  async function expectLeft(path: string, { acknowledged, tried }: Told): Promise<void> {
    const broken = (error: unknown) => {
      throw error;
    };
    const options = { clock: new VirtualClock(), entropy: new FixedEntropy(), onFatal: broken, onDefect: broken };
    const opening = openEmbeddedStore(path, options);
    // A file that was being made may have lost its head, which is refused: it could as well be what is left of a store.
    if (acknowledged < 0 && (await opening.then(() => '', String)).includes('is damaged or cut short')) return;
    const store = await opening;
    try {
      const possible = [states[Math.max(0, acknowledged)], states[tried]].filter((each) => each !== undefined);
      const found = await Promise.all(possible.map(({ after }) => stateOf(store, after)));
      const at = found.findIndex((state, i) => isDeepStrictEqual(state, possible[i]?.state));
      if (at < 0) expect(found[0], `acknowledged: ${acknowledged}, under way: ${tried}`).toEqual(possible[0]?.state);
      const epochs = states.slice(0, acknowledged + 1).map(({ epoch }) => epoch);
      const { holder } = store;
      expect(holder.kind === 'exclusive' && holder.epoch).toBeGreaterThan(Math.max(0, ...epochs));
    } finally {
      await store.close();
    }
  }
});

/** The last step that was acknowledged, and the last one that was begun; -1: none. */
interface Told {
  readonly acknowledged: number;
  readonly tried: number;
}

function toldBy(lines: readonly string[]): Told {
  const last = (what: string) => Number(lines.findLast((line) => line.startsWith(what))?.split(' ')[1] ?? -1);
  return { acknowledged: last('ack'), tried: last('try') };
}

function readStates(path: string): readonly SeenState[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as SeenState);
}

/** Chance that can be had again: it says by which seed. */
function seeded(): () => number {
  let state = Number(process.env['SEED'] ?? Date.now() % 100_000);
  console.log(`SEED=${state}`);
  return () => {
    state = (state * 48_271 + 11) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}
