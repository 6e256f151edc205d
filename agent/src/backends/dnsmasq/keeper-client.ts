// The agent's side of its keeper: one connection, opened when it is needed, and what runs behind it.
//
//   C1. A keeper that is gone took its processes with it: each exit is told once.
//   C2. A keeper that does not answer is killed, and its processes with it: it may not see their deadlines either.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import type { Parsed } from '@leasehold/proto/values';
import { KEEPER_PROTOCOL, type KeeperCommand, type KeeperMessage, type KeptServer } from './keeper-protocol.js';
import type { Process, ProcessEvents, Processes } from './processes.js';

/** The way to a keeper. */
export interface KeeperLink {
  /** Connects. Without a keeper it starts one, if it may, and otherwise resolves with nothing. */
  connect(events: KeeperLinkEvents, mayStart: boolean): Promise<Parsed<KeeperChannel | undefined>>;
  /** Ends the keeper and what it started, also one that is frozen. */
  kill(): void;
}

/** Called by an open connection. */
export interface KeeperLinkEvents {
  onMessage(message: KeeperMessage): void;
  /** Never after close(). */
  onClose(): void;
}

/** An open connection. */
export interface KeeperChannel {
  send(command: KeeperCommand): void;
  close(): void;
}

/** How long a keeper may take to answer. Its work takes milliseconds. */
export const PATIENCE_MS = 5_000;

/** How often it is asked whether it is there. */
export const ASK_MS = 2_000;

const GONE = 'The keeper of dnsmasq has ended';

type Reply = Extract<KeeperMessage, { readonly re: number }>;
type Told = Extract<KeeperMessage, { readonly key: string }>;
type Asking = { readonly do: 'list' } | Omit<KeeperCommand & { do: 'start' }, 'id'> | { do: 'end'; key: string };

interface Known {
  readonly pid: number;
  readonly events: ProcessEvents;
  /** Why it ended. */
  end?: string;
}

interface Connection {
  readonly channel: KeeperChannel;
  readonly waiting: Map<number, (reply: Reply | undefined) => void>;
}

/** See the top of the file. */
export class KeeperClient implements Processes {
  readonly #link: KeeperLink;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #known = new Map<string, Known>();
  #connection: Promise<Parsed<Connection | undefined>> | undefined;
  #nextId = 0;
  #timer: Timer | undefined;

  constructor(link: KeeperLink, clock: Clock, log: Log) {
    this.#link = link;
    this.#clock = clock;
    this.#log = log;
  }

  async find(key: string, events: ProcessEvents): Promise<Parsed<Process | undefined>> {
    const reply = await this.#ask({ do: 'list' });
    if (!reply.ok) return reply;
    if (!reply.value) return { ok: true, value: undefined };
    const server = serversOf(reply.value).find((each) => each.key === key);
    return { ok: true, value: server && this.#know(server, events) };
  }

  async start(key: string, args: readonly string[], untilMs: number, events: ProcessEvents): Promise<Parsed<Process>> {
    // Known before the reply: it may say something, or end, before that is read.
    const expected: Known = { pid: 0, events };
    this.#known.set(key, expected);
    const reply = await this.#ask({ do: 'start', key, args, untilMs });
    // Reply and end may come in one piece.
    if (expected.end !== undefined) return { ok: false, problem: expected.end };
    if (!reply.ok || !reply.value || !('pid' in reply.value)) {
      this.#known.delete(key);
      if (!reply.ok) return reply;
      return { ok: false, problem: reply.value && 'problem' in reply.value ? reply.value.problem : GONE };
    }
    return { ok: true, value: this.#know({ key, args, pid: reply.value.pid }, events) };
  }

  async keepOnly(keys: ReadonlySet<string>): Promise<void> {
    const reply = await this.#ask({ do: 'list' });
    if (!reply.ok || !reply.value) return;
    for (const { key, pid } of serversOf(reply.value)) {
      if (keys.has(key)) continue;
      this.#log.info('dnsmasq of an earlier run is ended', { pid });
      await this.#ask({ do: 'end', key });
    }
  }

  /** Leaves the keeper alone with what it keeps. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    const connection = await this.#connection;
    this.#connection = undefined;
    if (connection?.ok) connection.value?.channel.close();
  }

  #know({ key, args, pid }: KeptServer, events: ProcessEvents): Process {
    this.#known.set(key, { pid, events });
    return {
      pid,
      args,
      hold: (untilMs) => this.#say({ do: 'hold', key, untilMs }),
      limit: (untilMs) => this.#say({ do: 'limit', key, untilMs }),
      reread: () => this.#say({ do: 'reread', key }),
      end: async () => {
        if (this.#known.get(key)?.pid === pid) this.#known.delete(key);
        await this.#ask({ do: 'end', key });
      },
    };
  }

  #say(command: KeeperCommand): void {
    void this.#connection?.then((connection) => {
      if (connection.ok) connection.value?.channel.send(command);
    });
  }

  /** Nothing: there is no keeper, and no need for one to be asked this. */
  async #ask(asking: Asking): Promise<Parsed<Reply | undefined>> {
    this.#connection ??= this.#connect(asking.do === 'start');
    const opening = this.#connection;
    const opened = await opening;
    if (!opened.ok || !opened.value) {
      if (this.#connection === opening) this.#connection = undefined;
      // Whoever asked first may have had no need of a keeper.
      if (!opened.ok) return opened;
      return asking.do === 'start' ? this.#ask(asking) : { ok: true, value: undefined };
    }
    const { channel, waiting } = opened.value;
    const id = this.#nextId++;
    const reply = await new Promise<Reply | undefined>((resolve) => {
      const timer = this.#clock.after(PATIENCE_MS, () => this.#giveUp());
      waiting.set(id, (answer) => {
        timer.cancel();
        waiting.delete(id);
        resolve(answer);
      });
      channel.send({ ...asking, id });
    });
    return reply ? { ok: true, value: reply } : { ok: false, problem: GONE };
  }

  async #connect(mayStart: boolean): Promise<Parsed<Connection | undefined>> {
    const waiting: Connection['waiting'] = new Map();
    const greeted = new Promise<boolean>((resolve) => {
      const timer = this.#clock.after(PATIENCE_MS, () => resolve(false));
      waiting.set(-1, (reply) => {
        timer.cancel();
        resolve(reply !== undefined);
      });
    });
    const opened = await this.#link.connect(
      {
        onMessage: (message) => {
          if ('protocol' in message) {
            const isOurs = message.protocol === KEEPER_PROTOCOL;
            waiting.get(-1)?.(isOurs ? { re: -1, gone: true } : undefined);
            waiting.delete(-1);
          } else if ('re' in message) waiting.get(message.re)?.(message);
          else this.#heard(message);
        },
        onClose: () => this.#lost(waiting),
      },
      mayStart,
    );
    if (!opened.ok || !opened.value) {
      waiting.get(-1)?.(undefined);
      return opened.ok ? { ok: true, value: undefined } : opened;
    }
    if (await greeted) {
      this.#askAgain();
      return { ok: true, value: { channel: opened.value, waiting } };
    }
    opened.value.close();
    this.#link.kill();
    return { ok: false, problem: 'The keeper of dnsmasq did not answer and is ended' };
  }

  #heard(message: Told): void {
    const known = this.#known.get(message.key);
    if (!known || (known.pid !== message.pid && known.pid !== 0)) return;
    if ('line' in message) known.events.onLine(message.line);
    else {
      this.#known.delete(message.key);
      known.end = message.exit;
      known.events.onExit(message.exit);
    }
  }

  #askAgain(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(ASK_MS, () => {
      void this.#ask({ do: 'list' }).then((reply) => {
        if (reply.ok) this.#askAgain();
      });
    });
  }

  #giveUp(): void {
    this.#log.error('The keeper of dnsmasq does not answer and is ended, with every dnsmasq');
    this.#link.kill();
  }

  #lost(waiting: Connection['waiting']): void {
    this.#connection = undefined;
    this.#timer?.cancel();
    for (const answer of [...waiting.values()]) answer(undefined);
    const known = [...this.#known.values()];
    this.#known.clear();
    for (const each of known) {
      each.end = GONE;
      each.events.onExit(GONE);
    }
  }
}

function serversOf(reply: Reply): readonly KeptServer[] {
  return 'servers' in reply ? reply.servers : [];
}
