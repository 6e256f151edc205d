// WatchEvents: a watch as a gRPC stream, at the pace of its reader.
//
//   O1. No more is written than the reader takes: the watch is pulled when the stream has room. A reader that takes
//       nothing is ended when the watch is.

import { Metadata, type ServerWritableStream, status } from '@grpc/grpc-js';
import type { Log } from '@leasehold/program/log';
import type { WatchEventsRequest, WatchEventsResponse } from '@leasehold/proto/ipam/v1/ipam_service';
import type { Events } from '../app/events.js';
import type { Refused } from '../domain/errors.js';
import { fromWatch, toWireWatched } from './convert/event.js';
import { orThrow, toWireError, type WireError } from './errors.js';
import { toStatus } from './unary.js';

type Stream = ServerWritableStream<WatchEventsRequest, WatchEventsResponse>;

/** Makes the handler. */
export function watchHandler(log: Log, events: Events) {
  return (stream: Stream): void => {
    const over = new AbortController();
    const end = () => over.abort();
    stream.on('cancelled', end);
    stream.on('error', end);
    stream.on('close', end);
    run(stream, events, over).then(
      (refused) => finish(stream, refused && toWireError(refused.error)),
      (error: unknown) => finish(stream, toStatus(log, stream.getPath(), error)),
    );
  };
}

async function run(stream: Stream, events: Events, over: AbortController): Promise<Refused | undefined> {
  const watch = orThrow(events.watch(orThrow(fromWatch(stream.request)), over.signal));
  let ended: Refused | undefined;
  watch.onEnd((refused) => {
    ended = refused;
    over.abort();
  });
  try {
    const items = watch.read();
    for (;;) {
      const item = await items.next();
      if (item.done) return item.value ?? ended;
      if (!stream.write(toWireWatched(item.value))) await room(stream, over.signal);
      if (over.signal.aborted) return ended;
    }
  } finally {
    watch.close();
  }
}

function room(stream: Stream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
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
