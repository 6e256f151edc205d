// Machines with clocks of their own, and the processes on them.
//
//   N1. A machine's clock goes up to 1 % wrong, begins anew with every boot, and goes on while a process stands still.
//   N2. Of a process that was killed nothing ever runs again: its timers and what arrives for it are dropped, and so is
//       all that waits for them.
//   N3. Of a process that stands still (SIGSTOP) nothing runs; timers that fall due and what arrives pile up, and run
//       in that order when it goes on.

import type { Clock, Timer } from '@leasehold/program/clock';
import type { World } from './world.js';

const WALL_START_MS = Date.UTC(2026, 0, 1);

/** A machine. */
export class Machine {
  readonly name: string;
  readonly world: World;
  /** How much too fast its clock goes. */
  readonly drift: number;
  /** How much its wall clock was set forward. */
  wallOffsetMs = 0;
  #bootMs: number;
  #boots = 1;
  #isUp = true;
  readonly #processes = new Set<VirtualProcess>();

  constructor(world: World, name: string, drift: number) {
    this.world = world;
    this.name = name;
    this.drift = drift;
    this.#bootMs = world.nowMs;
  }

  /** Whether it has power. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Which boot it is. */
  get bootId(): string {
    return `${this.name}-boot-${this.#boots}`;
  }

  /** Milliseconds since it booted, by its own clock. */
  now(): number {
    return (this.world.nowMs - this.#bootMs) * (1 + this.drift);
  }

  /** What it believes to be the time of day. */
  wallTime(): Date {
    return new Date(Math.floor(WALL_START_MS + this.wallOffsetMs + this.world.nowMs));
  }

  /** Starts a process. */
  start(): VirtualProcess {
    const process = new VirtualProcess(this);
    this.#processes.add(process);
    return process;
  }

  /** Forgets a process that was killed. */
  ended(process: VirtualProcess): void {
    this.#processes.delete(process);
  }

  /** The power goes, and every process with it. */
  powerOff(): void {
    this.#isUp = false;
    for (const process of [...this.#processes]) process.kill();
  }

  /** It boots: its clock begins anew. */
  boot(): void {
    this.#isUp = true;
    this.#boots++;
    this.#bootMs = this.world.nowMs;
  }
}

/** A process, which is the clock of what runs in it. */
export class VirtualProcess implements Clock {
  readonly machine: Machine;
  /** Called after everything that ran in it. */
  onTurn: (() => void) | undefined;
  readonly #killed: (() => void)[] = [];
  #piled: (() => void)[] = [];
  #isAlive = true;
  #isStalled = false;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isStalled(): boolean {
    return this.#isStalled;
  }

  now(): number {
    return this.machine.now();
  }

  wallTime(): Date {
    return this.machine.wallTime();
  }

  after(delayMs: number, run: () => void): Timer {
    let isSet = true;
    const { world, drift } = this.machine;
    const turn = world.after(delayMs / (1 + drift), () =>
      this.arrive(() => {
        if (isSet) run();
      }),
    );
    return {
      cancel() {
        isSet = false;
        turn.isCancelled = true;
      },
    };
  }

  /** Runs something in it, now or when it goes on; never if it is killed before. */
  arrive(run: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isStalled) {
      this.#piled.push(run);
      return;
    }
    run();
    this.onTurn?.();
  }

  /** Calls `listener` when it is killed. */
  onKill(listener: () => void): void {
    this.#killed.push(listener);
  }

  /** Nothing of it runs any more. */
  kill(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#piled = [];
    this.machine.ended(this);
    for (const listener of this.#killed) listener();
  }

  /** It stands still. */
  stall(): void {
    this.#isStalled = true;
  }

  /** It goes on, with all that piled up, a turn each. */
  resume(): void {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    const piled = this.#piled;
    this.#piled = [];
    for (const run of piled) this.machine.world.after(0, () => this.arrive(run));
  }
}
