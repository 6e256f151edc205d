// One session to the control plane, for ever.
//
//   S1. There is at most one session; when it ends, for whatever reason, the next server is tried (server-choice.ts).
//   S2. Waits grow from 100 ms to 5 s with full jitter, and begin anew only after a session was open for MIN_UPTIME_MS.
//       The first one after an open session is as long as that dictated, where that is longer: ten thousand agents do not
//       come back at one moment.
//   S3. stop() is prompt: it waits for nothing.
//   S4. Who is named as the one that leads is dialled at once; the wait after that is the next one of a failure.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import { ServerChoice } from './session/server-choice.js';
import type { SessionRunner } from './session/session-runner.js';
import type { SessionChannel, SessionEnd, SessionTransport } from './session/session-transport.js';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** A session that was open this long was a good one. */
export const MIN_UPTIME_MS = 5_000;

// Far longer than a server that queues ten thousand hellos needs; a silent connection is the transport's business.
const WELCOME_TIMEOUT_MS = 60_000;

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'greeting'; readonly server: string; readonly channel: SessionChannel; readonly timer: Timer }
  | { readonly kind: 'open'; readonly server: string; readonly channel: SessionChannel; readonly sinceMs: number }
  | { readonly kind: 'stopped' };

/** Keeps a session. */
export class Supervisor {
  readonly #ports: {
    readonly clock: Clock;
    readonly entropy: Entropy;
    readonly log: Log;
    readonly transport: SessionTransport;
  };
  readonly #servers: ServerChoice;
  readonly #runner: SessionRunner;
  #state: State = { kind: 'idle' };
  /** Sessions that ended since the last good one. */
  #failures = 0;
  /** As the last open session dictated. */
  #spreadMs = 0;
  /** Why each server was left last. */
  readonly #reported = new Map<string, string>();

  constructor(
    ports: { clock: Clock; entropy: Entropy; log: Log; transport: SessionTransport },
    servers: readonly string[],
    runner: SessionRunner,
  ) {
    this.#ports = ports;
    this.#servers = new ServerChoice(servers);
    this.#runner = runner;
  }

  /** Dials the first server. */
  start(): void {
    if (this.#state.kind === 'idle') this.#dial();
  }

  /** Ends the session and dials no more. */
  stop(): void {
    const state = this.#state;
    this.#state = { kind: 'stopped' };
    if (state.kind === 'waiting' || state.kind === 'greeting') state.timer.cancel();
    if (state.kind === 'greeting' || state.kind === 'open') {
      state.channel.close();
      this.#runner.end();
    }
  }

  #dial(): void {
    const { clock, transport } = this.#ports;
    const server = this.#servers.take();
    // What an ended session still says is not the present session's.
    const isPresent = () => 'channel' in this.#state && this.#state.channel === channel;
    const channel = transport.open(server, {
      onMessage: (response) => {
        if (isPresent()) this.#runner.receive(response);
      },
      onClose: (end) => {
        if (isPresent()) this.#ended(end);
      },
    });
    const timer = clock.after(WELCOME_TIMEOUT_MS, () => this.#ended({ reason: 'Server did not answer the hello' }));
    this.#state = { kind: 'greeting', server, channel, timer };
    this.#runner.begin(channel, {
      opened: () => {
        if (isPresent()) this.#opened();
      },
      spread: (ms) => {
        if (isPresent()) this.#spreadMs = ms;
      },
      close: (reason) => {
        if (isPresent()) this.#ended({ reason });
      },
    });
  }

  #opened(): void {
    const state = this.#state;
    if (state.kind !== 'greeting') return;
    state.timer.cancel();
    const { server, channel } = state;
    this.#state = { kind: 'open', server, channel, sinceMs: this.#ports.clock.now() };
    this.#servers.opened(server);
    this.#reported.clear();
    this.#ports.log.info('Connected to the control plane', { server });
  }

  #ended({ reason, holder }: SessionEnd): void {
    const { clock, entropy } = this.#ports;
    const state = this.#state;
    if (state.kind !== 'greeting' && state.kind !== 'open') return;
    if (state.kind === 'greeting') state.timer.cancel();
    state.channel.close();
    if (state.kind === 'open' && clock.now() - state.sinceMs >= MIN_UPTIME_MS) this.#failures = 0;
    const follows = holder !== undefined && this.#runner.mayLead(holder) && this.#servers.follow(holder.endpoint);
    const failures = follows ? 0 : this.#failures++;
    const boundMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
    const spreadMs = state.kind === 'open' ? this.#spreadMs : 0;
    const waitMs = entropy.random() * Math.max(boundMs, spreadMs);
    this.#state = { kind: 'waiting', timer: clock.after(waitMs, () => this.#dial()) };
    this.#runner.end();
    this.#report(state.server, reason);
  }

  // A server may be away for a day: the same line every five seconds would bury everything else.
  #report(server: string, reason: string): void {
    const write = this.#reported.get(server) === reason ? 'debug' : 'warn';
    this.#reported.set(server, reason);
    this.#ports.log[write]('No session with the control plane, trying again', { server, reason });
  }
}
