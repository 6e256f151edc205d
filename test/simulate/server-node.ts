// A server: the product's own control plane on a machine of the simulation.

import { virtualBreakers } from '@leasehold/server/adapters/breaker/virtual-breaker';
import type { ControlPlane, ControlPlaneOptions } from '@leasehold/server/control-plane';
import type { WallTime } from '@leasehold/server/domain/ids';
import { NO_METRICS } from '@leasehold/server/ports/metrics';
import { Machine, type VirtualProcess } from './node.js';
import type { LinkedStore } from './store-link.js';
import type { Surroundings } from './surroundings.js';
import { TracedLog } from './trace.js';

// Nothing here damages tables: what a server takes for that is a change that somebody was not told.
const DRIFTED = 'table had drifted, sent again';
const READS_AGAIN = 'the watch of the store was lost, reading everything again';
const WAS_READ = 'the store was read again';

/** Starts a control plane; a mutant stands in for the product's own. */
export type StartControlPlane = (options: ControlPlaneOptions) => Promise<ControlPlane>;

/** A server. */
export class ServerNode {
  readonly name: string;
  readonly machine: Machine;
  readonly #around: Surroundings;
  readonly #startControlPlane: StartControlPlane;
  #process: VirtualProcess | undefined;
  #store: LinkedStore | undefined;
  #plane: ControlPlane | undefined;
  #starts = 0;
  /** What comes after the end of a process that was told to stop. */
  #next: 'nothing' | 'start' = 'nothing';
  /** Since when it tells hosts of what is written; undefined: it reads everything again before. */
  tellsSinceMs: number | undefined;
  /** Whether it may have begun to act since it was looked at. */
  isTouched = false;

  constructor(around: Surroundings, name: string, drift: number, startControlPlane: StartControlPlane) {
    this.name = name;
    this.machine = new Machine(around.world, name, drift);
    this.#around = around;
    this.#startControlPlane = startControlPlane;
    around.sessions.add(this.machine);
  }

  /** Its process, while it runs. */
  get process(): VirtualProcess | undefined {
    return this.#process;
  }

  /** The control plane, once it started. */
  get plane(): ControlPlane | undefined {
    return this.#plane;
  }

  /** Whether it would act as the holder now. */
  get isActing(): boolean {
    return this.#plane?.lease.epoch !== undefined;
  }

  /** Starts it, if it does not run; once it has ended, if it was told to stop. */
  start(): void {
    if (this.#process) {
      this.#next = 'start';
      return;
    }
    const { openStore, chance, trace, sessions, report } = this.#around;
    const process = this.machine.start();
    this.#process = process;
    process.onTurn = () => {
      this.isTouched = true;
    };
    const concern = `${this.name} start ${++this.#starts}`;
    const log = new TracedLog(
      (line, message) => {
        if (!process.isAlive) return;
        trace.say(this.name, line);
        trace.count(`server: ${message}`);
        if (message === DRIFTED) report('drift', `${this.name}: ${line}`);
        if (message === READS_AGAIN) this.tellsSinceMs = undefined;
        if (message === WAS_READ) this.tellsSinceMs = this.#around.world.nowMs;
      },
      (line) => process.isAlive && report('defect', `${this.name}: ${line}`),
    );
    const store = openStore(process, chance.of(`${concern} store`));
    this.#store = store;
    trace.say(this.name, 'starts');
    const starting = this.#startControlPlane({
      store,
      clock: process,
      entropy: chance.of(concern),
      log,
      makeBreaker: virtualBreakers(process),
      metrics: { ...NO_METRICS, count: (name) => trace.count(`server: metric ${name}`) },
      advertise: this.name,
      agentAdvertise: this.name,
      identity: {
        version: '0',
        name: this.name,
        startTime: process.wallTime().getTime() as WallTime,
        insecureListeners: [],
      },
    });
    starting.then(
      (plane) => {
        if (!process.isAlive) return;
        this.#plane = plane;
        this.tellsSinceMs = this.#around.world.nowMs;
        sessions.listen(process, plane.agents);
      },
      (error: Error) => {
        trace.say(this.name, `cannot start: ${error.message}`);
        this.kill();
        this.#around.world.after(1_000, () => this.start());
      },
    );
  }

  /** `kill -9`. */
  kill(): void {
    this.#process?.kill();
    this.#process = undefined;
    this.#plane = undefined;
    this.#store = undefined;
    this.#next = 'nothing';
  }

  /** SIGTERM: it ends by itself. */
  stop(): void {
    const process = this.#process;
    const plane = this.#plane;
    if (!process || !plane) {
      this.kill();
      return;
    }
    this.#next = 'nothing';
    const over = () => {
      if (this.#process !== process) return;
      const next = this.#next;
      this.kill();
      if (next === 'start') this.start();
    };
    process.arrive(() => {
      plane
        .stop()
        .then(over, (error: Error) => this.#around.report('defect', `${this.name} stopping: ${error.message}`));
    });
  }

  /** Its watch of the store must begin anew. */
  loseWatch(): void {
    this.#store?.loseWatch();
  }

  /** Its watch shows nothing, until it is told to go on. */
  holdWatch(): () => void {
    return this.#store?.holdWatch() ?? (() => undefined);
  }
}
