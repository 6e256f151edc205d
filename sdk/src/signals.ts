// Many who wait for the abort of one signal, with one listener.
//
// A signal that hundreds of calls share is what README recommends; Node takes more than ten listeners for a leak and says so on
// stderr, and finding one of many to remove it takes the longer the more there are.

interface Waiting {
  readonly runs: Set<() => void>;
  readonly listener: () => void;
}

const WAITING = new WeakMap<AbortSignal, Waiting>();

/** Runs `run` when the signal is aborted, which it is not yet, unless what is answered is called before. */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  const { runs, listener } = WAITING.get(signal) ?? listen(signal);
  // The same function may wait more than once.
  const own = () => run();
  runs.add(own);
  return () => {
    runs.delete(own);
    if (runs.size > 0 || WAITING.get(signal)?.runs !== runs) return;
    WAITING.delete(signal);
    signal.removeEventListener('abort', listener);
  };
}

function listen(signal: AbortSignal): Waiting {
  const runs = new Set<() => void>();
  const listener = () => {
    WAITING.delete(signal);
    for (const run of runs) run();
  };
  const waiting = { runs, listener };
  WAITING.set(signal, waiting);
  signal.addEventListener('abort', listener, { once: true });
  return waiting;
}
