import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  actingEpoch,
  beginLease,
  isBlind,
  isChanging,
  type LeaseRecord,
  type LeaseState,
  mayTake,
  sawRecord,
} from './lease.js';

const MINE = 'mine';

function leading(confirmedMs: number, epoch = 1): LeaseState<LeaseRecord> {
  return sawRecord(beginLease(0), MINE, { instance: MINE, epoch, beat: 0 }, confirmedMs, confirmedMs);
}

describe('a holder acts', () => {
  test('until four seconds after it sent its last confirmed renewal', () => {
    const state = leading(1_000, 7);
    expect(actingEpoch(state, 1_000)).toBe(7);
    expect(actingEpoch(state, 4_999)).toBe(7);
    expect(actingEpoch(state, 5_000)).toBeUndefined();
  });

  test('a renewal that is answered after a later one takes nothing back', () => {
    const later = sawRecord(leading(0), MINE, { instance: MINE, epoch: 1, beat: 2 }, 3_000, 3_010);
    const late = sawRecord(later, MINE, { instance: MINE, epoch: 1, beat: 1 }, 1_000, 5_500);
    expect(late).toEqual(later);
    expect(actingEpoch(late, 6_999)).toBe(1);
  });

  test('not any more once another instance is in the record', () => {
    const state = sawRecord(leading(1_000), MINE, { instance: 'other', epoch: 2, beat: 0 }, 1_500, 1_500);
    expect(actingEpoch(state, 1_500)).toBeUndefined();
  });

  test('counts from when a renewal was sent, however long its answer took', () => {
    const state = sawRecord(leading(0), MINE, { instance: MINE, epoch: 1, beat: 1 }, 2_000, 5_500);
    expect(actingEpoch(state, 5_999)).toBe(1);
    expect(actingEpoch(state, 6_000)).toBeUndefined();
  });
});

describe('a challenger may take the lead', () => {
  const seen = (beat: number): LeaseRecord => ({ instance: 'other', epoch: 3, beat });

  test('at once where there is no record, or it was given up', () => {
    expect(mayTake(beginLease(0), 0)).toBe(true);
    const givenUp = sawRecord(beginLease(0), MINE, { instance: '', epoch: 3, beat: 9 }, 0, 0);
    expect(mayTake(givenUp, 0)).toBe(true);
  });

  test('five seconds after it first saw the record as it is, and anew after every renewal', () => {
    let state = sawRecord(beginLease(0), MINE, seen(1), 0, 0);
    expect(mayTake(state, 4_999)).toBe(false);
    expect(mayTake(state, 5_000)).toBe(true);
    state = sawRecord(state, MINE, seen(1), 3_000, 3_000);
    expect(mayTake(state, 5_000)).toBe(true);
    state = sawRecord(state, MINE, seen(2), 5_000, 5_000);
    expect(mayTake(state, 9_999)).toBe(false);
    expect(mayTake(state, 10_000)).toBe(true);
  });

  test('never while it leads itself', () => {
    expect(mayTake(leading(0), 1e9)).toBe(false);
  });
});

describe('the lead is changing', () => {
  const seen = (sinceMs: number) =>
    sawRecord(beginLease(0), MINE, { instance: 'other', epoch: 3, beat: 1 }, sinceMs, sinceMs);

  test('when the beat is overdue for longer than two looks can miss it, and for who leads never', () => {
    expect(isChanging(seen(0), 2_000, 2_499)).toBe(false);
    expect(isChanging(seen(0), 2_000, 2_500)).toBe(true);
    expect(isChanging(leading(0), 9_000, 9_000)).toBe(false);
  });

  test('when there is no holder, or it gave the lead up', () => {
    expect(isChanging(beginLease(0), 0, 0)).toBe(true);
    const givenUp = sawRecord(beginLease(0), MINE, { instance: '', epoch: 3, beat: 9 }, 0, 0);
    expect(isChanging(givenUp, 0, 0)).toBe(true);
  });

  test('not as far as one knows that cannot read the record', () => {
    expect(isChanging(seen(0), 1_000, 3_499)).toBe(true);
    expect(isChanging(seen(0), 1_000, 3_500)).toBe(false);
    expect([isBlind(seen(0), 1_000, 3_499), isBlind(seen(0), 1_000, 3_500)]).toEqual([false, true]);
    expect(isBlind(leading(0), 0, 9_000)).toBe(false);
  });
});

test('two servers never act at one moment, whatever their messages take and whenever they stand still', () => {
  const stop = fc.record({ server: fc.nat(1), ms: fc.integer({ min: 1, max: 12_000 }), step: fc.nat(400) });
  const options = fc.record({
    delays: fc.array(fc.integer({ min: 0, max: 6_000 }), { minLength: 8, maxLength: 40 }),
    stops: fc.array(stop, { maxLength: 6 }),
  });
  fc.assert(
    fc.property(options, ({ delays, stops }) => {
      const world = new World(delays);
      for (let step = 0; step < 400; step++) {
        for (const each of stops) if (each.step === step) world.stop(each.server, each.ms);
        world.advance(100);
        expect(world.acting().length).toBeLessThanOrEqual(1);
      }
    }),
    { numRuns: 200 },
  );
});

test('when the holder dies, the other one leads within seconds', () => {
  const world = new World([50]);
  for (let step = 0; step < 20; step++) world.advance(100);
  const [first] = world.acting();
  world.stop(first as number, 1e9);
  let waitedMs = 0;
  for (; world.acting()[0] !== 1 - (first as number); waitedMs += 100) world.advance(100);
  expect(waitedMs).toBeLessThan(7_500);
});

interface Message {
  readonly atMs: number;
  readonly run: (nowMs: number) => void;
}

interface Server {
  readonly name: string;
  state: LeaseState<LeaseRecord>;
  asleepUntilMs: number;
  asksAtMs: number;
  isAsking: boolean;
}

/** Two servers and a record, on one clock; a server that stands still does nothing, and its time goes on. */
class World {
  readonly #delays: readonly number[];
  readonly #servers: readonly Server[] = ['a', 'b'].map((name) => ({
    name,
    state: beginLease(0),
    asleepUntilMs: 0,
    asksAtMs: 0,
    isAsking: false,
  }));
  #record: LeaseRecord | undefined;
  #messages: Message[] = [];
  #now = 0;
  #count = 0;

  constructor(delays: readonly number[]) {
    this.#delays = delays;
  }

  stop(server: number, ms: number): void {
    const it = this.#servers[server];
    if (it) it.asleepUntilMs = this.#now + ms;
  }

  acting(): readonly number[] {
    return this.#servers.flatMap(({ state, asleepUntilMs }, i) =>
      asleepUntilMs <= this.#now && actingEpoch(state, this.#now) !== undefined ? [i] : [],
    );
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#messages.filter(({ atMs }) => atMs <= end).toSorted((a, b) => a.atMs - b.atMs)[0];
      if (!due) break;
      this.#messages = this.#messages.filter((each) => each !== due);
      this.#now = Math.max(this.#now, due.atMs);
      due.run(this.#now);
    }
    this.#now = end;
    for (const server of this.#servers) {
      if (!server.isAsking && server.asksAtMs <= end && server.asleepUntilMs <= end) this.#ask(server);
    }
  }

  #ask(server: Server): void {
    const sentMs = this.#now;
    server.isAsking = true;
    const seen = server.state.kind === 'leading' ? server.state.record : server.state.seen;
    const takes = mayTake(server.state, sentMs);
    const delay = () => this.#delays[this.#count++ % this.#delays.length] ?? 0;
    this.#post(delay(), () => {
      const answer = this.#atStore(server.name, seen, takes);
      this.#post(delay(), () => {
        const take = (nowMs: number) => {
          server.state = sawRecord(server.state, server.name, answer, sentMs, nowMs);
          server.isAsking = false;
          server.asksAtMs = nowMs + 1_000;
        };
        // What arrives while it stands still is taken in when it goes on.
        if (server.asleepUntilMs > this.#now) this.#post(server.asleepUntilMs - this.#now, take);
        else take(this.#now);
      });
    });
  }

  #atStore(name: string, seen: LeaseRecord | undefined, takes: boolean): LeaseRecord | undefined {
    const record = this.#record;
    if (record?.instance === name) this.#record = { ...record, beat: record.beat + 1 };
    else if (takes && record?.epoch === seen?.epoch && record?.beat === seen?.beat) {
      this.#record = { instance: name, epoch: (record?.epoch ?? 0) + 1, beat: 0 };
    }
    return this.#record;
  }

  #post(ms: number, run: (nowMs: number) => void): void {
    this.#messages.push({ atMs: this.#now + ms, run });
  }
}
