// Keeps dnsmasq processes for an agent that may be frozen, killed or restarted meanwhile.
//
//   K1. No process outlives its deadline, on a clock that counts suspend. Only the agent moves deadlines.
//   K2. A deadline needs nobody: not the agent, not its socket. Where this process ends, the kernel ends what it started.
//   K3. One agent at a time: the newest.
//   K4. It ends by itself when there is neither an agent nor a process.

import type { Clock, Timer } from '@leasehold/program/clock';
import { KEEPER_PROTOCOL, type KeeperCommand, type KeeperMessage, type KeptServer } from './keeper-protocol.js';

/** A process that was started. */
export interface Child {
  readonly pid: number;
  /** SIGKILL: whatever state it is in, it sends nothing any more. */
  kill(): void;
  /** SIGHUP. */
  reread(): void;
}

/** What a process does. */
export interface ChildEvents {
  onLine(line: string): void;
  onExit(reason: string): void;
}

/** What a keeper needs of its surroundings. */
export interface KeeperPorts {
  /** Counts suspend. */
  readonly clock: Clock;
  readonly pid: number;
  /** Runs dnsmasq; a problem when it cannot. */
  start(key: string, args: readonly string[], events: ChildEvents): Child | { readonly problem: string };
  /** Nothing is left to keep, and nobody to keep it for. */
  onIdle(): void;
}

/** An agent's end of the conversation. */
export interface KeeperConnection {
  receive(command: KeeperCommand): void;
  closed(): void;
}

/** How often deadlines are looked at: a timer does not see a suspend. */
export const LOOK_MS = 100;

interface Kept {
  readonly child: Child;
  readonly args: readonly string[];
  untilMs: number;
  readonly gone: (() => void)[];
}

/** See the top of the file. */
export class Keeper {
  readonly #ports: KeeperPorts;
  readonly #kept = new Map<string, Kept>();
  #send: ((message: KeeperMessage) => void) | undefined;
  #timer: Timer | undefined;

  constructor(ports: KeeperPorts) {
    this.#ports = ports;
  }

  /** An agent came. */
  connect(send: (message: KeeperMessage) => void): KeeperConnection {
    this.#send = send;
    send({ protocol: KEEPER_PROTOCOL, pid: this.#ports.pid });
    return {
      receive: (command) => {
        if (this.#send === send) this.#obey(command, send);
      },
      closed: () => {
        if (this.#send !== send) return;
        this.#send = undefined;
        this.#rest();
      },
    };
  }

  #obey(command: KeeperCommand, send: (message: KeeperMessage) => void): void {
    switch (command.do) {
      case 'list':
        send({ re: command.id, servers: this.#servers() });
        break;
      case 'start':
        send({ re: command.id, ...this.#start(command) });
        break;
      case 'end':
        this.#end(command.key, () => send({ re: command.id, gone: true }));
        break;
      case 'hold':
        this.#hold(command.key, () => command.untilMs);
        break;
      case 'limit':
        this.#hold(command.key, (before) => Math.min(before, command.untilMs));
        break;
      case 'reread':
        this.#kept.get(command.key)?.child.reread();
        break;
    }
  }

  #hold(key: string, deadline: (beforeMs: number) => number): void {
    const kept = this.#kept.get(key);
    if (kept) kept.untilMs = deadline(kept.untilMs);
    this.#look();
  }

  #servers(): KeptServer[] {
    return [...this.#kept].map(([key, { child, args }]) => ({ key, pid: child.pid, args }));
  }

  #start(command: KeeperCommand & { readonly do: 'start' }): { pid: number } | { problem: string } {
    const { key, args, untilMs } = command;
    if (this.#kept.has(key)) return { problem: 'There is a dnsmasq already' };
    if (untilMs <= this.#ports.clock.now()) return { problem: 'Authority has ended' };
    const child = this.#ports.start(key, args, {
      onLine: (line) => this.#tell(key, kept, { line }),
      onExit: (reason) => this.#exited(key, kept, reason),
    });
    if ('problem' in child) return child;
    const kept: Kept = { child, args, untilMs, gone: [] };
    this.#kept.set(key, kept);
    this.#look();
    return { pid: child.pid };
  }

  #end(key: string, done: () => void): void {
    const kept = this.#kept.get(key);
    if (kept) {
      kept.gone.push(done);
      kept.child.kill();
    } else done();
  }

  #exited(key: string, kept: Kept, exit: string): void {
    if (this.#kept.get(key) === kept) this.#kept.delete(key);
    this.#tell(key, kept, { exit });
    for (const done of kept.gone) done();
    this.#rest();
  }

  #tell(key: string, { child: { pid } }: Kept, what: { line: string } | { exit: string }): void {
    this.#send?.({ key, pid, ...what });
  }

  #rest(): void {
    if (!this.#send && this.#kept.size === 0) this.#ports.onIdle();
  }

  #look(): void {
    this.#timer?.cancel();
    const now = this.#ports.clock.now();
    let next = LOOK_MS;
    for (const { child, untilMs } of this.#kept.values()) {
      if (untilMs <= now) child.kill();
      else next = Math.min(next, untilMs - now);
    }
    this.#timer = this.#kept.size > 0 ? this.#ports.clock.after(next, () => this.#look()) : undefined;
  }
}
