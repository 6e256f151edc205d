// What the embedded store acknowledged is there after any end of its process, and after a failing disk.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@leasehold/program/system-clock';
import { openEmbeddedStore } from '@leasehold/server/adapters/embedded/embedded-store';
import type { Slot } from '@leasehold/server/domain/slot';
import type { Store } from '@leasehold/server/ports/store';
import { describe, expect, test } from 'vitest';
import { collect } from '../conformance/documents.js';
import { WatchedProcess } from '../support/processes.js';
import { repositoryRoot } from '../support/repository.js';
import { temporaryDirectory } from '../support/sandbox.js';
import { addressOf, ROUND, requestOf, stepOf, tenureOf } from '../support/store-steps.js';
import { hasTool } from '../support/tools.js';

const WRITER = join(repositoryRoot, 'test/dist/support/store-writer.js');
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
    const trace = ['-f', '-y', '-o', file, '-e', 'trace=pwrite64,pwritev,fdatasync,fsync,msync,write', ...inject];
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
      if (/pwrite(64|v)\(.*data\.mdb/.test(call) && !call.includes(', 128, ')) unflushed = true;
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
