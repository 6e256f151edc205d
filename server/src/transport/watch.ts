// WatchEvents: a watch as a gRPC stream, at the pace of its reader.
//
//   O1. No more is written than the reader takes: the watch is pulled when the stream has room. A reader that takes
//       nothing is ended when the watch is, or after some time (30 s).
//   O2. However it ends, the watch is let go of: its place, and what it holds of the store.

import { Metadata, type ServerWritableStream, status } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { WatchEventsRequest, WatchEventsResponse } from '@leasehold/proto/ipam/v1/ipam_service';
import type { Events, Watch } from '../app/events.js';
import { type Refused, type Result, watchTooSlow } from '../domain/errors.js';
import type { Metrics } from '../ports/metrics.js';
import { formatCaller, INSECURE } from './access.js';
import { knownCaller } from './callers.js';
import { fromWatch, toWireWatched } from './convert/event.js';
import { orThrow, toWireError, type WireError } from './errors.js';
import { toStatus } from './unary.js';

type Stream = ServerWritableStream<WatchEventsRequest, WatchEventsResponse>;

/** What a watch needs beside the events. */
interface Around {
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Makes the handler. `stallMs`: how long a reader may take nothing. */
export function watchHandler(log: Log, events: Events, around: Around, stallMs: number) {
  return (stream: Stream): void => {
    const over = new AbortController();
    const end = () => over.abort();
    stream.on('cancelled', end);
    stream.on('error', end);
    stream.on('close', end);
    run(stream, events, around, stallMs, over).then(
      (refused) => finish(stream, refused && toWireError(refused.error)),
      (error: unknown) => finish(stream, toStatus(log, stream.getPath(), error)),
    );
  };
}

async function run(
  stream: Stream,
  events: Events,
  { clock, metrics }: Around,
  stallMs: number,
  over: AbortController,
): Promise<Refused | undefined> {
  const watch = orThrow(begin(stream, events, metrics, over.signal));
  let ended: Refused | undefined;
  const end = (refused: Refused) => {
    ended ??= refused;
    over.abort();
  };
  watch.onEnd(end);
  const items = watch.read();
  try {
    for (;;) {
      const item = await items.next();
      if (item.done) return item.value ?? ended;
      if (!stream.write(toWireWatched(item.value)) && !(await hasRoom(stream, clock, stallMs, over.signal)))
        end(watchTooSlow());
      if (over.signal.aborted) return ended;
    }
  } finally {
    watch.close();
    await items.return(undefined);
  }
}

function begin(stream: Stream, events: Events, metrics: Metrics, signal: AbortSignal): Result<Watch> {
  const caller = knownCaller(stream);
  const watch = events.watch(orThrow(fromWatch(stream.request)), signal, caller && formatCaller(caller));
  const isLimited = !watch.ok && watch.error.kind === 'rate-limited';
  if (isLimited) metrics.count('callsLimited', { limit: 'watches', role: (caller ?? INSECURE).role });
  return watch;
}

/** Whether the stream took in time what was written, or is over. */
function hasRoom(stream: Stream, clock: Clock, stallMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isSo: boolean) => {
      timer.cancel();
      stream.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve(isSo);
    };
    const done = () => settle(true);
    const timer = clock.after(stallMs, () => settle(false));
    stream.on('drain', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}

function finish(stream: Stream, error: WireError | undefined): void {
  if (stream.destroyed || stream.writableEnded) return;
  if (error) stream.emit('error', error);
  else if (stream.cancelled) stream.end();
  else stream.emit('error', { code: status.UNAVAILABLE, details: 'The server stops', metadata: new Metadata() });
}
