// What becomes of exchanges that fail, against a database that does what a test says, in virtual time. The real one is
// met in test/conformance and test/e2e.

import { delay } from '@leasehold/program/clock';
import { virtualBreakers } from '@leasehold/server/adapters/breaker/virtual-breaker';
import { Batcher } from '@leasehold/server/adapters/mongodb/batcher';
import { Exchange } from '@leasehold/server/adapters/mongodb/exchange';
import { NO_METRICS } from '@leasehold/server/ports/metrics';
import { OutcomeUnknownError, StoreUnavailableError } from '@leasehold/server/ports/store';
import { type Db, type MongoClient, MongoNetworkError, MongoServerError, MongoServerSelectionError } from 'mongodb';
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryLog } from '../fakes/memory-log.js';
import { settle, VirtualClock } from '../fakes/virtual-clock.js';

const LOST = new MongoNetworkError('connection closed');
const AWAY = new MongoServerSelectionError('no primary', {} as never);
const POOL_CLEARED = Object.defineProperty(new MongoNetworkError('pool cleared'), 'name', {
  value: 'MongoPoolClearedError',
});
const CONFLICT = new MongoServerError({ message: 'WriteConflict', code: 112 });
const DUPLICATE = new MongoServerError({ message: 'duplicate key', code: 11_000 });
const FORBIDDEN = new MongoServerError({ message: 'not authorized', code: 13 });

let clock: VirtualClock;
let log: MemoryLog;
let exchange: Exchange;
/** What each command comes to, the next one first; the last one for ever. */
let script: ('done' | Error)[];
let sent: number;
/** How long each command takes. */
let takesMs: number;

beforeEach(() => {
  clock = new VirtualClock();
  log = new MemoryLog();
  script = ['done'];
  sent = 0;
  takesMs = 0;
  const command = async () => {
    sent++;
    const next = script.length > 1 ? script.shift() : script[0];
    if (takesMs > 0) await delay(clock, takesMs);
    if (next instanceof Error) throw next;
    return { n: 1 };
  };
  const session = {
    advanceClusterTime: () => undefined,
    advanceOperationTime: () => undefined,
    endSession: async () => undefined,
    startTransaction: () => undefined,
    inTransaction: () => false,
    commitTransaction: command,
  };
  exchange = new Exchange({
    client: { startSession: () => session } as unknown as MongoClient,
    db: { command } as unknown as Db,
    clock,
    log,
    metrics: NO_METRICS,
    makeBreaker: virtualBreakers(clock),
  });
});

/** A write, how it ended, and how long that took. */
function writing(): { readonly ended: () => unknown; readonly tookMs: () => number | undefined } {
  const beganMs = clock.now();
  let end: { readonly with: unknown; readonly atMs: number } | undefined;
  const over = (how: unknown) => {
    end = { with: how, atMs: clock.now() };
  };
  exchange.write('insert', async (talk) => (await talk.write({ insert: 'slots' })).n).then(over, over);
  return { ended: () => end?.with, tookMs: () => end && end.atMs - beganMs };
}

describe('a write', () => {
  test('whose answer is lost is repeated until it is known', async () => {
    script = [LOST, LOST, 'done'];
    const write = writing();
    await clock.advance(5_000);
    expect([write.ended(), sent]).toEqual([1, 3]);
  });

  test('of which nobody knows after 20 s is given up as unknown', async () => {
    script = [LOST];
    const write = writing();
    await clock.advance(19_000);
    expect(write.ended()).toBeUndefined();
    await clock.advance(1_100);
    expect(write.ended()).toBeInstanceOf(OutcomeUnknownError);
  });

  test('is not sent again by a process that stood still for longer than that', async () => {
    script = [LOST, 'done'];
    const write = writing();
    await settle();
    expect(sent).toBe(1);
    clock.jump(25_000);
    await clock.advance(1_000);
    expect(write.ended()).toBeInstanceOf(OutcomeUnknownError);
    expect(sent).toBe(1);
  });

  test('that found nobody to be sent to was not done, and is refused when the breaker opens', async () => {
    script = [AWAY];
    const write = writing();
    await clock.advance(1_000);
    expect(write.ended()).toBeInstanceOf(StoreUnavailableError);
    expect(write.ended()).not.toBeInstanceOf(OutcomeUnknownError);
    const refused = writing();
    const before = sent;
    await settle();
    expect(refused.ended()).toBeInstanceOf(StoreUnavailableError);
    expect(sent).toBe(before);
  });

  test('that waits behind one of unknown outcome is refused when the breaker opens', async () => {
    script = [LOST];
    const ends: string[] = [];
    const batcher = new Batcher<string, number>({
      maxItems: 1,
      maxExchanges: 1,
      check: () => exchange.check(),
      handle: () => exchange.write('insert', async (talk) => [(await talk.write({ insert: 'slots' })).n]),
    });
    for (const item of 'ab') batcher.submit(item).catch(({ name }: Error) => ends.push(`${item} ${name}`));
    await clock.advance(1_000);
    expect(exchange.health.breaker).not.toBe('closed');
    expect(ends).toEqual(['b StoreUnavailableError']);
    await clock.advance(20_000);
    expect(ends).toEqual(['b StoreUnavailableError', 'a OutcomeUnknownError']);
  });

  test('that the database forbids was not done either', async () => {
    script = [FORBIDDEN];
    const write = writing();
    await clock.advance(1_000);
    expect(write.ended()).toBeInstanceOf(StoreUnavailableError);
    expect(String(write.ended())).toContain('not authorized');
  });

  test('that fails by a defect of ours fails with it, at once and once', async () => {
    const defect = new TypeError('x is not a function');
    script = [defect];
    const write = writing();
    await settle();
    expect([write.ended(), sent]).toEqual([defect, 1]);
  });

  test('that was answered, but not what was asked after it, is not refused as not done', async () => {
    script = ['done', AWAY];
    let end: unknown;
    const over = (how: unknown) => {
      end = how;
    };
    const work = exchange.write('insert', async (talk) => {
      await talk.write({ insert: 'slots' });
      return talk.read({ find: 'networks' });
    });
    work.then(over, over);
    await clock.advance(5_000);
    expect(exchange.health.breaker).not.toBe('closed');
    expect(end).toBeUndefined();
    await clock.advance(16_000);
    expect(end).toBeInstanceOf(OutcomeUnknownError);
  });

  test.each([AWAY, POOL_CLEARED])(
    'whose commit fails with $name may be made, and is not refused as not done',
    async (error) => {
      script = ['done', 'done', error];
      let end: unknown;
      const over = (how: unknown) => {
        end = how;
      };
      exchange
        .write('put', (talk) => talk.writeTogether([{ insert: 'audit' }, { update: 'networks' }]))
        .then(over, over);
      await clock.advance(19_000);
      expect(end).toBeUndefined();
      await clock.advance(2_000);
      expect(end).toBeInstanceOf(OutcomeUnknownError);
    },
  );

  test('that was sent is found out about also after the store was closed for others', async () => {
    script = [LOST, 'done'];
    const write = writing();
    await settle();
    exchange.close();
    await clock.advance(1_000);
    expect(write.ended()).toBe(1);
    const late = writing();
    await settle();
    expect(late.ended()).toBeInstanceOf(StoreUnavailableError);
  });
});

describe('a transaction', () => {
  const together = () =>
    exchange.write('put', (talk) => talk.writeTogether([{ insert: 'audit' }, { update: 'networks' }]));

  test('that meets one that holds the document answers that it lost, but not before that may be done', async () => {
    script = ['done', CONFLICT, 'done'];
    let answer: boolean | undefined;
    together().then((isDone) => {
      answer = isDone;
    }, expect.fail);
    await clock.advance(99);
    expect(answer).toBeUndefined();
    await clock.advance(1);
    expect(answer).toBe(false);
    expect(exchange.health.breaker).toBe('closed');
  });

  test('that comes after one that is done answers so at once', async () => {
    script = [DUPLICATE];
    await expect(together()).resolves.toBe(false);
  });
});

describe('the breaker', () => {
  test('opens by a single exchange that found no primary, since when that began', async () => {
    const since = clock.wallTime().getTime();
    takesMs = 2_000;
    script = [AWAY];
    const write = writing();
    await clock.advance(2_000);
    expect(write.ended()).toBeInstanceOf(StoreUnavailableError);
    expect(exchange.health).toEqual({ breaker: 'open', unavailableSince: since });
    expect(() => exchange.check()).toThrow(StoreUnavailableError);
  });

  test('tries by itself after a second, refuses at once meanwhile, and closes when that went well', async () => {
    script = [AWAY];
    writing();
    takesMs = 2_000;
    await clock.advance(1_000);
    expect([exchange.health.breaker, sent]).toEqual(['half-open', 2]);
    const refused = writing();
    await settle();
    expect([refused.ended(), sent]).toEqual([expect.any(StoreUnavailableError), 2]);
    await clock.advance(2_000);
    expect(exchange.health.breaker).toBe('open');
    takesMs = 0;
    script = ['done'];
    await clock.advance(1_000);
    expect(exchange.health).toEqual({ breaker: 'closed', unavailableSince: undefined });
  });

  test('is not closed by an answer to what was asked before it opened', async () => {
    takesMs = 1_500;
    script = ['done'];
    const early = writing();
    takesMs = 1_000;
    script = [AWAY];
    writing();
    await clock.advance(1_500);
    expect(early.ended()).toBe(1);
    expect(exchange.health).toEqual({ breaker: 'open', unavailableSince: expect.any(Number) as number });
  });

  test('says once that the store is away, however often it tries, and once that it is back', async () => {
    script = [AWAY];
    writing();
    await clock.advance(10_000);
    expect(sent).toBeGreaterThan(5);
    script = ['done'];
    await clock.advance(1_000);
    const told = log.lines.map(({ level, message }) => `${level} ${message}`);
    expect(told).toEqual(['warn the store cannot be used', 'info the store can be used again']);
  });
});

test('a read that fails says that the store is away, and why', async () => {
  script = [LOST];
  const read = exchange.read('get', (talk) => talk.read({ find: 'slots' }));
  await expect(read).rejects.toThrow(new StoreUnavailableError('The store is away (connection closed)'));
});
