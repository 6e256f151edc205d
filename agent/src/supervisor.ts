// One session to the control plane, for ever.
//
//   S1. There is at most one session; when it ends, for whatever reason, the next server is tried (server-choice.ts).
//   S2. All servers are tried before it waits for longer than 100 ms. Then waits grow to 5 s with full jitter, and begin
//       anew only after a session was open for MIN_UPTIME_MS. The first one after an open session is as long as that
//       dictated, where that is longer: ten thousand agents do not come back at one moment.
//   S3. stop() is prompt: it waits for nothing.
//   S4. Who is named as the one that leads is dialled at once; the wait after that is the next one of a failure.
//   S5. One that says nothing is left in half a second while others wait for their turn, and else in ten: with a server that
//       stands still, or a machine without power, an agent is still back before its host counts as gone.
//   S6. While nothing is acknowledged in the session, another server is asked beside it (session/unanswered.ts). The
//       session is over when that one welcomes, and not before.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import type { Log } from '@leasehold/program/log';
import type { SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { ServerChoice } from './session/server-choice.js';
import type { Greeting, SessionControl, SessionPace, SessionRunner } from './session/session-runner.js';
import type { SessionChannel, SessionEnd, SessionTransport } from './session/session-transport.js';
import { askAt } from './session/unanswered.js';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** A session that was open this long was a good one. */
export const MIN_UPTIME_MS = 5_000;

// Ten times what a server needs that is well, and not too far away.
const SPEAKS_AT_ONCE_MS = 500;
const SPEAKS_WITHIN_MS = 10_000;

// Far longer than a server that queues ten thousand hellos needs; a silent connection is the transport's business.
const WELCOME_TIMEOUT_MS = 60_000;

// A server to which the lead may be about to come keeps a hello for 10 s.
const ASKED_TIMEOUT_MS = 15_000;

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'greeting'; readonly server: string; readonly channel: SessionChannel; readonly timer: Timer }
  | { readonly kind: 'open'; readonly server: string; readonly channel: SessionChannel; readonly sinceMs: number }
  | { readonly kind: 'stopped' };

/** Since when nothing was acknowledged or asked, and whether another was asked since it was acknowledged. */
interface Unanswered {
  readonly sinceMs: number;
  readonly hasAsked: boolean;
}

/** Another server, asked beside the session. */
interface Asked {
  readonly server: string;
  readonly channel: SessionChannel;
  readonly greeting: Greeting;
  readonly timer: Timer;
  /** Whether it was named by the one asked before. */
  readonly isNamed: boolean;
}

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
  #pace: SessionPace = { intervalMs: 1_000, spreadMs: 0 };
  #unanswered: Unanswered = { sinceMs: 0, hasAsked: false };
  #asking: Timer | undefined;
  #asked: Asked | undefined;
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
    if (this.#state.kind === 'idle') this.#dialNext();
  }

  /** Ends the session and dials no more. */
  stop(): void {
    const state = this.#state;
    this.#state = { kind: 'stopped' };
    this.#askNoMore();
    if (state.kind === 'waiting' || state.kind === 'greeting') state.timer.cancel();
    if (state.kind === 'greeting' || state.kind === 'open') {
      state.channel.close();
      this.#runner.end();
    }
  }

  #dial(server: string): void {
    const channel = this.#open(server, this.#servers.isOneOfSeveral ? SPEAKS_AT_ONCE_MS : SPEAKS_WITHIN_MS);
    this.#greeted(server, channel);
    this.#runner.begin(channel, this.#controlOf(channel));
  }

  #dialNext(): void {
    this.#dial(this.#servers.take());
  }

  #greeted(server: string, channel: SessionChannel): void {
    // Only beside an open session are others asked.
    this.#asking?.cancel();
    const expired = () => this.#ended({ reason: 'Server did not answer the hello' });
    this.#state = { kind: 'greeting', server, channel, timer: this.#ports.clock.after(WELCOME_TIMEOUT_MS, expired) };
  }

  #open(server: string, speaksWithinMs: number): SessionChannel {
    const channel = this.#ports.transport.open(
      server,
      {
        onMessage: (response) => {
          if (this.#isPresent(channel)) this.#runner.receive(response);
          else if (this.#asked?.channel === channel) this.#answered(this.#asked, response);
        },
        onClose: (end) => {
          if (this.#isPresent(channel)) this.#ended(end);
          else if (this.#asked?.channel === channel) this.#refused(this.#asked, end);
        },
      },
      speaksWithinMs,
    );
    return channel;
  }

  // What an ended session still says is not the present session's.
  #isPresent(channel: SessionChannel): boolean {
    return 'channel' in this.#state && this.#state.channel === channel;
  }

  #controlOf(channel: SessionChannel): SessionControl {
    return {
      opened: () => {
        if (this.#isPresent(channel)) this.#opened();
      },
      dictated: (pace) => {
        if (this.#isPresent(channel)) this.#dictated(pace);
      },
      acknowledged: () => {
        if (this.#isPresent(channel)) this.#acknowledged();
      },
      close: (reason) => {
        if (this.#isPresent(channel)) this.#ended({ reason });
      },
    };
  }

  #opened(): void {
    const state = this.#state;
    if (state.kind !== 'greeting') return;
    state.timer.cancel();
    const { server, channel } = state;
    const sinceMs = this.#ports.clock.now();
    this.#state = { kind: 'open', server, channel, sinceMs };
    this.#servers.opened(server);
    this.#reported.clear();
    this.#ports.log.info('Connected to the control plane', { server });
    this.#unanswered = { sinceMs, hasAsked: false };
    this.#scheduleAsking();
  }

  #dictated({ intervalMs, spreadMs }: SessionPace): void {
    this.#pace = { intervalMs, spreadMs };
    if (this.#state.kind === 'open') this.#scheduleAsking();
  }

  #acknowledged(): void {
    const { hasAsked } = this.#unanswered;
    this.#unanswered = { sinceMs: this.#ports.clock.now(), hasAsked: false };
    if (!hasAsked) return;
    this.#endAsked();
    this.#scheduleAsking();
  }

  /** Others are asked when nothing was acknowledged by then, and again. */
  #scheduleAsking(): void {
    const { clock, entropy } = this.#ports;
    const unanswered = this.#unanswered;
    this.#asking?.cancel();
    const atMs = askAt(unanswered.sinceMs, this.#pace, entropy.random());
    this.#asking = clock.after(atMs - clock.now(), () => {
      if (this.#unanswered === unanswered) this.#askAnother();
      this.#scheduleAsking();
    });
  }

  #askAnother(): void {
    const state = this.#state;
    if (state.kind !== 'open') return;
    const { clock, log, transport } = this.#ports;
    const { hasAsked } = this.#unanswered;
    this.#unanswered = { sinceMs: clock.now(), hasAsked: true };
    // Whose turn it is next comes next all the same.
    if (this.#asked) return;
    const other = this.#servers.other(state.server) ?? (transport.isSeveral?.(state.server) ? state.server : undefined);
    if (other === undefined) return;
    const write = hasAsked ? 'debug' : 'warn';
    log[write]('The server acknowledges nothing, asking another one whether it leads', { server: other });
    this.#ask(other, false);
  }

  #ask(server: string, isNamed: boolean): void {
    const channel = this.#open(server, SPEAKS_WITHIN_MS);
    const timer = this.#ports.clock.after(ASKED_TIMEOUT_MS, () => this.#endAsked());
    this.#asked = { server, channel, greeting: this.#runner.greet(channel), timer, isNamed };
  }

  #answered({ server, channel, greeting }: Asked, response: SessionResponse): void {
    const state = this.#state;
    if (state.kind !== 'open') return;
    const answer = greeting.answered(response, this.#controlOf(channel));
    if (answer === 'refused') {
      this.#endAsked();
      return;
    }
    this.#ports.log.info('Another server leads', { server, left: state.server });
    state.channel.close();
    if (answer === 'taken') {
      this.#asked?.timer.cancel();
      this.#asked = undefined;
      this.#greeted(server, channel);
    } else {
      this.#endAsked();
      this.#runner.end();
      this.#dial(server);
    }
  }

  #refused({ isNamed }: Asked, { holder }: SessionEnd): void {
    this.#endAsked();
    const state = this.#state;
    if (isNamed || state.kind !== 'open' || !holder || holder.endpoint === state.server) return;
    // Only after it led: while the store is away for everybody, all name the one whose session this is.
    if (this.#runner.leadsLater(holder)) this.#ask(holder.endpoint, true);
  }

  #endAsked(): void {
    this.#asked?.timer.cancel();
    this.#asked?.channel.close();
    this.#asked = undefined;
  }

  #askNoMore(): void {
    this.#asking?.cancel();
    this.#endAsked();
  }

  #ended({ reason, holder }: SessionEnd): void {
    const { clock, entropy } = this.#ports;
    const state = this.#state;
    if (state.kind !== 'greeting' && state.kind !== 'open') return;
    if (state.kind === 'greeting') state.timer.cancel();
    state.channel.close();
    if (state.kind === 'open' && clock.now() - state.sinceMs >= MIN_UPTIME_MS) this.#failures = 0;
    const follows = holder !== undefined && this.#runner.mayLead(holder) && this.#servers.follow(holder.endpoint);
    const failures = follows || !this.#servers.isRoundOver() ? 0 : this.#failures++;
    const boundMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
    const spreadMs = state.kind === 'open' ? this.#pace.spreadMs : 0;
    const waitMs = entropy.random() * Math.max(boundMs, spreadMs);
    this.#state = { kind: 'waiting', timer: clock.after(waitMs, () => this.#dialNext()) };
    this.#askNoMore();
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
