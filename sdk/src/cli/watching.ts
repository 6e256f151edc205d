// `--watch`: what a command shows, looked at again whenever something happened that it concerns.
//
//   L1. A change that is told is shown at once; what no event tells, such as that a host falls silent, within REFRESH_MS.
//   L2. A look costs the server at most a fifth of the time, however much there is to read and to tell: where looks take long,
//       L1 waits.
//   L3. Once something was shown it outlasts any absence of the server: it says so, and goes on.

import { LeaseholdError } from '../errors.js';
import type { Runtime } from '../system.js';
import type { WatchEvent } from '../watch.js';
import { exitCode, said } from './errors.js';

/** What changes what a command shows. */
export interface Watched {
  /** Only this network, which has no hosts. Absent: everything. */
  readonly networkId?: string | undefined;
  concerns(event: WatchEvent): boolean;
}

/** What was seen, and why it may be old. */
export interface Look<T> {
  readonly seen: T;
  readonly seenMs: number;
  /** Undefined: it is as it was when it was looked at. */
  readonly problem: string | undefined;
}

const REFRESH_MS = 2_000;
// Changes come in bursts: what follows within this time is seen in the same look.
const SETTLE_MS = 100;

/** Looks, and looks again; it ends by the signal, or with what a look or the watch is refused with. */
export async function* looks<T>(
  look: () => Promise<T>,
  watch: (signal: AbortSignal) => AsyncIterable<WatchEvent>,
  concerns: (event: WatchEvent) => boolean,
  runtime: Runtime,
  signal: AbortSignal,
): AsyncGenerator<Look<T>> {
  const bell = new Bell(runtime, signal);
  let seen = await bell.unlessAborted(look());
  if (seen === undefined) return;
  yield { seen: seen.value, seenMs: runtime.wallMs(), problem: undefined };
  using _events = listen(watch, concerns, bell);
  for (let restMs = 0; await bell.rung(restMs, REFRESH_MS); ) {
    const begunMs = runtime.monotonicMs();
    const seenMs: number = runtime.wallMs();
    try {
      seen = (await bell.unlessAborted(look())) ?? seen;
      yield { seen: seen.value, seenMs, problem: undefined };
    } catch (error) {
      if (!(error instanceof LeaseholdError) || !isAway(error)) throw error;
      yield { seen: seen.value, seenMs, problem: said(error) };
    }
    restMs = 4 * (runtime.monotonicMs() - begunMs);
  }
}

function isAway(error: LeaseholdError): boolean {
  return error.code === 'UNAVAILABLE' || exitCode(error) === 3;
}

/** Rings at the first event, for what happened before the watch stood, and at each that concerns. */
function listen(
  watch: (signal: AbortSignal) => AsyncIterable<WatchEvent>,
  concerns: (event: WatchEvent) => boolean,
  bell: Bell,
): Disposable {
  const abort = new AbortController();
  const follow = async () => {
    while (!abort.signal.aborted) {
      let first = true;
      try {
        for await (const event of watch(abort.signal)) {
          if (first || concerns(event)) bell.ring();
          first = false;
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        // What happened meanwhile is not known: the first event of the next watch makes it look.
        if (!(error instanceof LeaseholdError) || error.reason !== 'WATCH_COMPACTED') return bell.break(error);
      }
    }
  };
  void follow();
  return { [Symbol.dispose]: () => abort.abort() };
}

/** What a look waits for. */
class Bell {
  readonly #runtime: Runtime;
  readonly #signal: AbortSignal;
  readonly #aborted: Promise<undefined>;
  #wake = () => {};
  #heeds = false;
  #rung = false;
  #broken: { readonly error: unknown } | undefined;

  constructor(runtime: Runtime, signal: AbortSignal) {
    this.#runtime = runtime;
    this.#signal = signal;
    this.#aborted = new Promise((resolve) => {
      if (signal.aborted) resolve(undefined);
      else signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
  }

  ring(): void {
    this.#rung = true;
    if (this.#heeds) this.#wake();
  }

  /** There will be no more rings. */
  break(error: unknown): void {
    this.#broken = { error };
    this.#wake();
  }

  /** Waits for a ring, at least and at most so long; false: it is over. */
  async rung(atLeastMs: number, atMostMs: number): Promise<boolean> {
    if (!this.#broken) await this.#wait(atLeastMs, false);
    if (!this.#rung && !this.#broken) await this.#wait(atMostMs - atLeastMs, true);
    if (this.#rung && !this.#broken) await this.#wait(SETTLE_MS, false);
    if (this.#broken) throw this.#broken.error;
    this.#rung = false;
    return !this.#signal.aborted;
  }

  /** Undefined: the signal came first. */
  unlessAborted<T>(work: Promise<T>): Promise<{ readonly value: T } | undefined> {
    return Promise.race([work.then((value) => ({ value })), this.#aborted]);
  }

  async #wait(ms: number, untilRung: boolean): Promise<void> {
    if (ms <= 0) return;
    const enough = new AbortController();
    const end = () => enough.abort();
    this.#signal.addEventListener('abort', end, { once: true });
    this.#wake = end;
    this.#heeds = untilRung;
    if (this.#signal.aborted) end();
    await this.#runtime.wait(ms, enough.signal);
    this.#signal.removeEventListener('abort', end);
    this.#wake = () => {};
  }
}
