import { describe, expect, test } from 'vitest';
import { makeError } from '../errors.js';
import type { Runtime } from '../system.js';
import type { WatchEvent } from '../watch.js';
import { looks } from './watching.js';

/** A watch whose events the test hands out, and time that stands until it is moved. */
class World {
  readonly interrupt = new AbortController();
  readonly watches: AbortSignal[] = [];
  readonly waits: number[] = [];
  shown = 'first';
  #emit: (event: WatchEvent | Error) => void = () => {};
  #pending: (() => void)[] = [];
  #nowMs = 0;

  readonly runtime: Runtime = {
    env: {},
    monotonicMs: () => this.#nowMs,
    wallMs: () => this.#nowMs,
    random: () => 0.5,
    requestId: () => '',
    atTurnEnd: (work) => work(),
    after: () => () => undefined,
    wait: (delayMs, signal) =>
      new Promise((resolve) => {
        this.waits.push(delayMs);
        // The pause in which a burst settles is over at once; the long one lasts until time is moved.
        if (signal.aborted || delayMs < 1_000) return resolve();
        this.#pending.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
  };

  /** Lets the long pause pass. */
  pass(ms: number): void {
    this.#nowMs += ms;
    for (const resolve of this.#pending.splice(0)) resolve();
  }

  emit(event: WatchEvent | Error): void {
    this.#emit(event);
  }

  readonly watch = async function* (this: World, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    this.watches.push(signal);
    const queue: (WatchEvent | Error)[] = [];
    let wake = () => {};
    this.#emit = (event) => {
      queue.push(event);
      wake();
    };
    while (!signal.aborted) {
      const next = queue.shift();
      if (next instanceof Error) throw next;
      if (next) yield next;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
    }
  }.bind(this);

  start(look: () => Promise<string> = async () => this.shown) {
    const concerns = ({ kind }: WatchEvent) => kind === 'host';
    return looks(look, this.watch, concerns, this.runtime, this.interrupt.signal);
  }
}

const host = { kind: 'host' } as WatchEvent;
const bookmark = { kind: 'bookmark' } as WatchEvent;

/** Whether a promise is still open when all that can go on has gone on. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  const turns = async () => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    return 'open';
  };
  return (await Promise.race([promise, turns()])) === 'open';
}

describe('what is watched', () => {
  test('is looked at when an event concerns it, and not when none does', async () => {
    const world = new World();
    const looking = world.start();
    expect((await looking.next()).value).toMatchObject({ seen: 'first', problem: undefined });
    let next = looking.next();
    // The first event says that the watch stands: what happened before it is seen now.
    expect(await isOpen(next)).toBe(true);
    world.emit(bookmark);
    await next;
    next = looking.next();
    world.emit(bookmark);
    expect(await isOpen(next)).toBe(true);
    world.shown = 'second';
    world.emit(host);
    expect((await next).value).toMatchObject({ seen: 'second' });
    await looking.return(undefined);
    expect(world.watches.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test('is looked at after a while, for what no event tells', async () => {
    const world = new World();
    const looking = world.start();
    await looking.next();
    const next = looking.next();
    expect(await isOpen(next)).toBe(true);
    world.shown = 'silent host';
    world.pass(2_000);
    expect((await next).value).toMatchObject({ seen: 'silent host', seenMs: 2_000 });
    await looking.return(undefined);
  });

  test('is left alone after a look for four times its length, whatever is told meanwhile', async () => {
    const world = new World();
    const looking = world.start(async () => {
      world.pass(3_000);
      return world.shown;
    });
    await looking.next();
    const second = looking.next();
    await isOpen(second);
    world.emit(host);
    await second;
    const third = looking.next();
    expect(await isOpen(third)).toBe(true);
    world.emit(host);
    expect(await isOpen(third)).toBe(true);
    expect(world.waits.at(-1)).toBe(12_000);
    world.shown = 'third';
    world.pass(12_000);
    expect((await third).value).toMatchObject({ seen: 'third' });
    const fourth = looking.next();
    await isOpen(fourth);
    // What ends the watch is told at once.
    world.emit(makeError({ code: 'PERMISSION_DENIED', reason: 'PERMISSION_DENIED', message: 'No more' }));
    await expect(fourth).rejects.toThrow('No more');
  });

  test('outlasts a server that is away, which is said beside what was seen', async () => {
    const world = new World();
    const away = makeError({ code: 'UNAVAILABLE', reason: 'NO_CONNECTION', message: 'Nobody there' });
    const answers = [Promise.resolve('first'), Promise.reject(away), Promise.resolve('back')];
    answers[1]?.catch(() => undefined);
    const looking = world.start(() => answers.shift() ?? Promise.resolve('more'));
    await looking.next();
    const second = looking.next();
    await isOpen(second);
    world.pass(2_000);
    expect((await second).value).toMatchObject({ seen: 'first', problem: 'Nobody there (NO_CONNECTION)' });
    const third = looking.next();
    await isOpen(third);
    world.pass(2_000);
    expect((await third).value).toMatchObject({ seen: 'back', problem: undefined });
    await looking.return(undefined);
  });

  test('begins its watch again from a position that was lost, and ends with any other refusal', async () => {
    const world = new World();
    const looking = world.start();
    await looking.next();
    const next = looking.next();
    await isOpen(next);
    world.emit(makeError({ code: 'OUT_OF_RANGE', reason: 'WATCH_COMPACTED', message: 'Too old' }));
    expect(await isOpen(next)).toBe(true);
    expect(world.watches).toHaveLength(2);
    world.emit(makeError({ code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED', message: 'Too many' }));
    await expect(next).rejects.toThrow('Too many');
  });

  test('ends with a look that is refused', async () => {
    const world = new World();
    const gone = makeError({ code: 'NOT_FOUND', reason: 'HOST_NOT_FOUND', message: 'Gone' });
    await expect(world.start(() => Promise.reject(gone)).next()).rejects.toThrow('Gone');
  });

  test('ends by Ctrl-C at once: before, while and after it looks', async () => {
    const before = new World();
    before.interrupt.abort();
    expect(await before.start(() => new Promise(() => {})).next()).toEqual({ done: true, value: undefined });
    const during = new World();
    const next = during.start(() => new Promise(() => {})).next();
    during.interrupt.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    const after = new World();
    const looking = after.start();
    await looking.next();
    const waiting = looking.next();
    await isOpen(waiting);
    after.interrupt.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });
});
